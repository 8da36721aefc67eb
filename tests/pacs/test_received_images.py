"""Images from a PACS: on the disk once acknowledged, each series done once, bounded room."""

from pathlib import Path

import pytest

from weakmask.errors import MachineError
from weakmask.pacs import received_images
from weakmask.pacs.received_images import ReceivedImages


class Clock:
    """Seconds that a test counts."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_series_is_handled_once_it_is_quiet_and_only_once(tmp_path: Path, clock: Clock) -> None:
    images = ReceivedImages(tmp_path, 1e6, clock)
    assert images.store("1.2", "1.2.1", b"a")
    clock.now += 20
    assert not images.store("1.2", "1.2.2", b"b")
    clock.now += 20
    assert images.quiet(30) is None
    clock.now += 10
    assert images.quiet(30) == "1.2"
    names = images.names_of("1.2")
    assert names == {"1.2.1.dcm", "1.2.2.dcm"}
    assert images.finish("1.2", names)
    assert images.quiet(0) is None
    assert not images.store("1.2", "1.2.1", b"again")  # a PACS sends twice
    assert images.quiet(0) is None
    assert (images.place_of("1.2") / "1.2.1.dcm").read_bytes() == b"a"
    assert ReceivedImages(tmp_path, 1e6, clock).quiet(0) is None  # after a restart
    assert images.counts() == {"received": 2, "waiting": 0, "done": 1, "failed": 0, "bytes": images.bytes}


def test_images_that_come_late_make_their_series_wait_again(tmp_path: Path, clock: Clock) -> None:
    images = ReceivedImages(tmp_path, 1e6, clock)
    images.store("1.2", "1.2.1", b"a")
    before = images.names_of("1.2")
    images.store("1.2", "1.2.2", b"b")
    assert not images.finish("1.2", before)
    assert not images.fail("1.2", before, "a gap")
    assert images.finish("1.2", images.names_of("1.2"))
    assert images.store("1.2", "1.2.3", b"c")
    assert images.quiet(0) == "1.2"
    assert ReceivedImages(tmp_path, 1e6, clock).quiet(0) == "1.2"


def test_a_failed_series_is_kept_with_its_reason_and_tried_again_when_it_comes_again(
    tmp_path: Path, clock: Clock
) -> None:
    images = ReceivedImages(tmp_path, 1e6, clock)
    images.store("1.2", "1.2.1", b"a")
    assert images.fail("1.2", images.names_of("1.2"), "a gap")
    assert (tmp_path / "failed" / "1.2.txt").read_text(encoding="utf-8") == "a gap\n"
    assert (tmp_path / "failed" / "1.2" / "1.2.1.dcm").read_bytes() == b"a"
    assert images.counts()["failed"] == 1
    assert ReceivedImages(tmp_path, 1e6, clock).quiet(0) is None
    assert images.store("1.2", "1.2.2", b"b")
    assert images.names_of("1.2") == {"1.2.1.dcm", "1.2.2.dcm"}
    assert images.quiet(0) == "1.2"
    assert images.counts()["failed"] == 0


def test_a_failed_series_that_comes_again_waits_also_where_the_new_image_has_no_room(
    tmp_path: Path, clock: Clock
) -> None:
    images = ReceivedImages(tmp_path, 300, clock)
    images.store("1.2", "1.2.1", b"a")
    images.fail("1.2", images.names_of("1.2"), "a gap")
    with pytest.raises(MachineError, match="--max-gigabytes"):
        images.store("1.2", "1.2.2", b"x" * 400)
    assert images.names_of("1.2") == {"1.2.1.dcm"}
    assert images.quiet(0) == "1.2"


def test_a_postponed_series_is_not_hurried_by_a_new_image(tmp_path: Path, clock: Clock) -> None:
    images = ReceivedImages(tmp_path, 1e6, clock)
    images.store("1.2", "1.2.1", b"a")
    images.postpone("1.2", 60)
    images.store("1.2", "1.2.2", b"b")
    clock.now += 70
    assert images.quiet(30) is None
    clock.now += 20
    assert images.quiet(30) == "1.2"


def test_a_full_folder_refuses_images_and_gives_up_those_that_are_done(tmp_path: Path, clock: Clock) -> None:
    images = ReceivedImages(tmp_path, 1000, clock)
    for series in ("1.1", "1.2"):
        images.store(series, f"{series}.1", b"x" * 400)
    with pytest.raises(MachineError, match="--max-gigabytes"):
        images.store("1.3", "1.3.1", b"x" * 400)
    assert images.finish("1.1", images.names_of("1.1"))
    assert images.store("1.3", "1.3.1", b"x" * 400)
    assert not images.place_of("1.1").exists()
    assert images.place_of("1.2").exists()
    assert not images.store("1.1", "1.1.1", b"x" * 400)  # done, though its images are gone
    assert images.quiet(0) == "1.2"
    assert ReceivedImages(tmp_path, 1000, clock).counts()["waiting"] == 2
    images.finish("1.2", images.names_of("1.2"))
    assert images.store("1.1", "1.1.2", b"x" * 300)  # late, and the rest of the series is gone
    assert images.lacking("1.1") == 1
    images.fail("1.1", images.names_of("1.1"), "send the whole series again")
    for number in (1, 2):
        images.store("1.1", f"1.1.{number}", b"x" * 300)
    assert len(images.names_of("1.1")) == 2
    assert images.lacking("1.1") == 0


def test_a_removal_that_was_killed_ends_at_the_next_start(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ReceivedImages(tmp_path, 1000, clock)
    for number in range(2):
        images.store("1.1", f"1.1.{number}", b"x" * 400)
    images.finish("1.1", images.names_of("1.1"))

    def killed(place: Path) -> None:
        next(place.iterdir()).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(received_images.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        images.store("1.2", "1.2.1", b"x" * 400)
    monkeypatch.undo()
    again = ReceivedImages(tmp_path, 1000, clock)
    assert again.quiet(0) is None
    assert not again.place_of("1.1").exists()


def test_the_folder_is_counted_at_the_start_and_anew(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "1.9").mkdir()
    (tmp_path / "1.9" / "mask.nii.gz").write_bytes(b"x" * 700)
    images = ReceivedImages(tmp_path, 1000, clock)
    with pytest.raises(MachineError):
        images.store("1.2", "1.2.1", b"x" * 400)
    (tmp_path / "1.9" / "mask.nii.gz").unlink()
    images.recount()
    assert images.store("1.2", "1.2.1", b"x" * 400)
