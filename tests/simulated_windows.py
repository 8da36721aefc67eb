"""Parts of Windows on another system: what its calls refuse, and the library that it is asked by."""

import ctypes
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from weakmask import folder_lock, memory, windows
from weakmask.pipeline import peak_memory

GB = 2**30


class Kernel32:
    """The calls of Windows' library that the package makes.

    Attributes:
        running: Numbers of processes that run; of another user where the value is False.
    """

    def __init__(self, running: dict[int, bool]) -> None:
        self.running = running
        self.OpenProcess = _Call(self._open)
        self.GetCurrentProcess = _Call(lambda: 2**64 - 1)
        self.closed: list[int] = []

    def _open(self, access: int, inherit: int, process: Any) -> int | None:
        assert (access, inherit) == (0x1000, 0)
        return process.value if self.running.get(process.value) else None

    def GetLastError(self) -> int:  # noqa: N802
        return 5 if False in self.running.values() else 87

    def GetExitCodeProcess(self, handle: Any, code: Any) -> int:  # noqa: N802
        code._obj.value = 259 if handle.value in self.running else 0
        return 1

    def CloseHandle(self, handle: Any) -> int:  # noqa: N802
        self.closed.append(handle.value)
        return 1

    def GlobalMemoryStatusEx(self, status: Any) -> int:  # noqa: N802
        assert status._obj.length == ctypes.sizeof(status._obj) == 64
        status._obj.total_physical = 16 * GB
        return 1

    def K32GetProcessMemoryInfo(self, handle: Any, memory: Any, size: int) -> int:  # noqa: N802
        assert handle.value == 2**64 - 1
        assert size == ctypes.sizeof(memory._obj) == 72
        memory._obj.peak_working_set = GB
        return 1


class _Call:
    """A function of a library, whose type of result may be set."""

    def __init__(self, call: Callable[..., object]) -> None:
        self.call = call
        self.restype: object = ctypes.c_int

    def __call__(self, *arguments: object) -> object:
        assert self.restype is ctypes.c_void_p  # else a handle loses its upper half
        return self.call(*arguments)


@pytest.fixture
def simulated_windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel32]:
    """Folders cannot be opened or flushed, files only if open for writing, and POSIX's own modules are absent."""
    opened, flushed, library = os.open, os.fsync, Kernel32({os.getpid(): True})

    def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *more, **named)

    def fsync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        flushed(descriptor)

    def kill(process: int, number: int) -> None:
        raise AssertionError(f"the signal {number} would be Ctrl+C for process {process}")

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.setattr(shutil, "_use_fd_functions", False)  # of Python's own removal of folders
    monkeypatch.setattr(windows, "WINDOWS", True)
    monkeypatch.setattr(windows, "_library", lambda: library)
    monkeypatch.setattr(folder_lock, "fcntl", None)
    monkeypatch.setattr(memory, "resource", None)
    monkeypatch.setattr(peak_memory, "resource", None)
    monkeypatch.setattr(peak_memory, "_STATUS", Path("no such file"))
    return library
