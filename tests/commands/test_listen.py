"""What `weakmask listen` does with a series that it cannot segment or send: no fault ends it, none is silent."""

import errno
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from weakmask.commands import listen as module
from weakmask.commands.listen import Wishes
from weakmask.errors import MachineError, UserError
from weakmask.inference.trained_model import Model
from weakmask.pacs.received_images import ReceivedImages
from weakmask.pacs.transfer_faults import UnreachableError
from weakmask.regions.scan_regions import RegionSource

FULL = OSError(errno.ENOSPC, "No space left on device")


class Listener:
    """A worker whose work fails as a test says."""

    def __init__(self, out: Path) -> None:
        self.out, self.now = out, 100.0
        self.events: list[dict[str, Any]] = []
        self.images = ReceivedImages(out, 1e6, lambda: self.now)
        report = lambda event: self.events.append(dict(event))  # noqa: E731
        self.worker = module._Worker(cast("Model", None), out, Wishes(), RegionSource(), self.images, report)
        self.worker.take("1.2", "1.2.1", b"image")

    def handle(self, fault: BaseException | None = None) -> dict[str, Any]:
        """The last event after the series was handled."""

        def results(series: str, names: frozenset[str]) -> list[str]:
            if fault is not None:
                raise fault
            return ["result"]

        self.worker._results = results  # type: ignore[method-assign]
        self.worker.handle("1.2")
        return self.events[-1]


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    return Listener(tmp_path)


def test_a_series_that_is_done(listener: Listener) -> None:
    assert [event["event"] for event in listener.events] == ["receiving"]
    done = listener.handle()
    assert (done["event"], done["results"], done["waiting"], done["done"]) == ("done", ["result"], 0, 1)


@pytest.mark.parametrize("fault", [UserError("a gap"), RuntimeError("a gap")])
def test_a_series_at_fault_is_put_aside(listener: Listener, fault: Exception) -> None:
    failed = listener.handle(fault)
    assert (failed["event"], failed["waiting"], failed["failed"]) == ("failed", 0, 1)
    assert "a gap" in failed["error"]
    reason = (listener.out / "failed" / "1.2.txt").read_text(encoding="utf-8")
    assert ("please report it" in reason) == isinstance(fault, RuntimeError)


@pytest.mark.parametrize(
    ("fault", "event"),
    [(UnreachableError("no answer"), "not sent"), (MachineError("full"), "interrupted"), (FULL, "interrupted")],
)
def test_a_server_or_a_machine_at_fault_is_tried_again_after_ever_longer_waits(
    listener: Listener, fault: Exception, event: str
) -> None:
    waits = []
    for _ in range(8):
        said = listener.handle(fault)
        assert (said["event"], said["waiting"], said["failed"]) == (event, 1, 0)
        waits.append(said["again_in_s"])
        assert listener.images.quiet(0) is None
        listener.now += waits[-1]
        assert listener.images.quiet(0) == "1.2"
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    assert listener.handle()["event"] == "done"


def test_images_that_come_during_the_work_send_nothing_aside(listener: Listener) -> None:
    real = listener.images.fail

    def fail(series: str, names: frozenset[str], line: str) -> bool:
        listener.worker.take("1.2", "1.2.2", b"late")
        return real(series, names, line)

    listener.images.fail = fail  # type: ignore[method-assign]
    listener.handle(UserError("a gap"))
    assert [event["event"] for event in listener.events] == ["receiving", "segmenting"]
    assert listener.images.counts()["waiting"] == 1


def test_images_that_a_person_took_away_are_forgotten(listener: Listener) -> None:
    shutil.rmtree(listener.images.place_of("1.2"))
    assert listener.handle()["event"] == "receiving"
    assert listener.images.quiet(0) is None


def test_refusals_are_reported_once_a_minute_and_the_state_is_in_a_file(listener: Listener) -> None:
    for _ in range(5):
        listener.worker.refuse("full")
    assert [event["event"] for event in listener.events] == ["receiving", "refused"]
    assert '"error": "full"' in (listener.out / "status.json").read_text(encoding="utf-8")
