"""Files and folders appear complete or not at all, and the litter of killed processes is cleared by the next."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from weakmask import atomic_write
from weakmask.atomic_write import atomic_file, atomic_files, atomic_folder, clear_litter, temporary_name
from weakmask.errors import MachineError


def full_disk(*arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES])
def test_an_error_of_the_caller_s_write_is_one_line(tmp_path: Path, number: int) -> None:
    (tmp_path / "a.txt").write_text("before")
    with (
        pytest.raises(MachineError, match=f"cannot write to .*: {os.strerror(number)}") as told,
        atomic_file(tmp_path / "a.txt"),
    ):
        raise OSError(number, os.strerror(number))
    assert "\n" not in str(told.value)
    assert names_in(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_error_after_the_caller_s_write_is_one_line(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, step, full_disk)
    with pytest.raises(MachineError, match="No space left"), atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    with pytest.raises(MachineError, match="No space left"), atomic_folder(tmp_path / "b") as folder:
        (folder / "file").write_text("new")
    assert names_in(tmp_path) == []


def test_an_error_about_a_file_elsewhere_is_not_of_the_writing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "out" / "a.txt"):
        (tmp_path / "absent").read_text()


def test_files_that_belong_together_are_all_new_or_all_old(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    with atomic_files(paths) as temporaries:
        for number, temporary in enumerate(temporaries):
            temporary.write_text(f"old {number}")
    with pytest.raises(MachineError), atomic_files(paths) as temporaries:
        full_disk(temporaries[0].write_text("new"))
    assert [path.read_text() for path in paths] == ["old 0", "old 1", "old 2"]
    assert names_in(tmp_path) == ["a", "b", "c"]


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 124 + ".nii.gz")
    with atomic_file(path) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("whole")
    assert names_in(tmp_path) == [path.name]


def test_litter_of_dead_processes_is_cleared_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    own = temporary_name(tmp_path / "mine.csv").name
    left = own.replace(str(os.getpid()), str(dead.pid))
    monkeypatch.setattr(atomic_write, "_machine", lambda: "0" * 8)
    other = temporary_name(tmp_path / "mine.csv").name.replace(str(os.getpid()), str(dead.pid))
    monkeypatch.undo()
    for name in (own, left, other, ".hidden", f".{dead.pid}.x", "mine.csv"):
        (tmp_path / name).touch()
    (tmp_path / f"{left}.folder" / "inner").mkdir(parents=True)
    clear_litter(tmp_path)
    assert names_in(tmp_path) == sorted([own, other, ".hidden", f".{dead.pid}.x", "mine.csv"])
