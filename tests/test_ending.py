"""How a command ends: in one line with the right exit code, and cleaned up after a signal."""

import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from weakmask.atomic_write import atomic_file, atomic_folder
from weakmask.ending import ending_well
from weakmask.errors import MachineError, UserError

FAULTS: tuple[tuple[BaseException, str], ...] = (
    (UserError("a: wrong [red]colour[/]; mend it"), "a: wrong [red]colour[/]; mend it"),
    (MachineError("cannot write to b"), "cannot write to b"),
    (OSError(errno.ENOSPC, "No space left on device", "c"), "c: No space left on device; mend it"),
    (PermissionError(errno.EACCES, "Permission denied", "d"), "d: Permission denied; mend it"),
    (
        OSError(errno.ENOSPC, "No space left on device"),
        "the standard output or a file: No space left on device; mend it",
    ),
    (MemoryError(), "not enough memory"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), "not enough memory"),
)


@pytest.mark.parametrize(("fault", "line"), FAULTS)
def test_a_fault_of_user_or_machine_is_one_line(
    fault: BaseException, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weakmask.ending._leave_unwritten", lambda: None)  # it closes the real standard output
    with pytest.raises(SystemExit) as ended, ending_well():
        raise fault
    assert ended.value.code == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert printed[0].startswith(f"error {line}")


@pytest.mark.parametrize("fault", [FileNotFoundError(errno.ENOENT, "none", "x"), RuntimeError("shapes"), KeyError("k")])
def test_a_fault_of_the_program_keeps_its_traceback(fault: Exception) -> None:
    with pytest.raises(type(fault)), ending_well():
        raise fault


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_after_the_cleaning_up(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    # started with nohup or in the background, the tests would ignore signals from their start
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))
    usual = signal.getsignal(number)
    with (
        pytest.raises(SystemExit) as ended,
        ending_well(),
        atomic_folder(tmp_path / "folder") as folder,
        atomic_file(folder / "file"),
    ):
        os.kill(os.getpid(), number)  # the handler runs at once
    assert ended.value.code == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert "the same command goes on" in capsys.readouterr().err
    assert signal.getsignal(number) is usual


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    done = False
    try:
        with ending_well():
            os.kill(os.getpid(), signal.SIGHUP)
            done = True
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done


def test_standard_output_that_is_full_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("weakmask.ending._leave_unwritten", lambda: None)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    out = os.fdopen(os.open(full, os.O_WRONLY), "w", closefd=True)
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SystemExit) as ended, ending_well():
        sys.stdout.write("a table")
    assert ended.value.code == 2
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space"):
        out.close()


def test_standard_output_that_is_closed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with ending_well():
        print("nobody reads this")  # noqa: T201
        assert sys.stdout.name == os.devnull
    sys.stdout.close()
