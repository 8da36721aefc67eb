"""System calls of Windows, for what Python offers under POSIX alone.

They were written from the documentation of Windows and tested on a simulation of its library, never on Windows.
"""

import ctypes
import os
from ctypes import c_size_t, c_uint32, c_uint64, c_void_p

WINDOWS = os.name == "nt"
_QUERY = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
_STILL_ACTIVE = 259
_ACCESS_DENIED = 5


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX."""

    _fields_ = (
        ("length", c_uint32),
        ("load", c_uint32),
        ("total_physical", c_uint64),
        ("others", c_uint64 * 6),
    )


class _ProcessMemory(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS."""

    _fields_ = (
        ("length", c_uint32),
        ("page_faults", c_uint32),
        ("peak_working_set", c_size_t),
        ("others", c_size_t * 7),
    )


def machine_memory_bytes() -> int:
    """The physical memory of the machine."""
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if not _library().GlobalMemoryStatusEx(ctypes.byref(status)):
        raise OSError("the memory of the machine is not known")
    return int(status.total_physical)


def peak_memory_bytes() -> int:
    """The peak of this process's memory so far; 0 if the system does not say."""
    library, memory = _library(), _ProcessMemory(length=ctypes.sizeof(_ProcessMemory))
    library.GetCurrentProcess.restype = c_void_p
    known = library.K32GetProcessMemoryInfo(c_void_p(library.GetCurrentProcess()), ctypes.byref(memory), memory.length)
    return int(memory.peak_working_set) if known else 0


def is_alive(process: int) -> bool:
    """Whether a process runs; `os.kill` with the signal 0 would send it Ctrl+C.

    Args:
        process: Its number.
    """
    library = _library()
    library.OpenProcess.restype = c_void_p
    handle = library.OpenProcess(_QUERY, 0, c_uint32(process))
    if not handle:
        return library.GetLastError() == _ACCESS_DENIED
    code = c_uint32(0)
    known = library.GetExitCodeProcess(c_void_p(handle), ctypes.byref(code))
    library.CloseHandle(c_void_p(handle))
    return not known or code.value == _STILL_ACTIVE


def _library() -> ctypes.CDLL:
    return ctypes.CDLL("kernel32")
