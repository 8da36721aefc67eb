"""Lack of memory: whether an exception tells of it, and whose fault it is, a scan's or the machine's."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from weakmask import windows
from weakmask.errors import MachineError, UserError

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

TOO_LARGE = 0.25  # share of the machine's memory: a scan with one array of this size does not fit beside its copies
_WORDS = re.compile(  # of torch and ITK, in a RuntimeError; `BitsAllocated` is an element of DICOM
    r"bad_alloc|\b(?:allocate|allocating|allocation)\b|out of memory|not enough memory", re.IGNORECASE
)
_ASKED = re.compile(r"allocate\D{0,40}?(\d+(?:\.\d+)?) ?(bytes|[KMGTPE]i?B)", re.IGNORECASE)
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50, "e": 2**60}
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception tells that memory is used up: in Python, NumPy, torch, ITK, or a process that was killed."""
    if isinstance(error, MemoryError | BrokenExecutor):
        return True
    named = type(error).__name__ == "OutOfMemoryError"  # of torch, on a graphics card
    return named or (isinstance(error, RuntimeError) and bool(_WORDS.search(str(error))))


def asked_bytes(error: BaseException) -> int:
    """The bytes that could not be had, as the exception's message says; 0 where it does not."""
    found = _ASKED.search(str(error))
    return int(float(found[1]) * _UNITS[found[2][0].lower()]) if found else 0


def memory_bytes() -> int:
    """The memory that this process could have at most: of the machine, its container, and the limit of the process."""
    if windows.WINDOWS:
        return windows.machine_memory_bytes()
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in _GROUPS:
        with suppress(OSError, ValueError):  # "max" is no limit
            sizes.append(int(Path(group).read_text(encoding="ascii")))
    limit = -1 if resource is None else resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(sizes) if resource is None or limit == resource.RLIM_INFINITY else min(*sizes, limit)


@contextmanager
def memory_for(scan: str | Path, *, in_stage: bool = False) -> Iterator[None]:
    """Say in one line that the memory does not suffice for a scan.

    Args:
        scan: Its name or path, for the message.
        in_stage: Whether a stage of a run works on it. A run may lose a scan only for what will not change: the scan
            asks for more than this machine can give. Any other lack of memory is the machine's, and stops the run.
            Elsewhere it is always the scan's, as the other scans do not depend on it.

    Raises:
        UserError: The scan is too large.
        MachineError: The machine has not enough memory now.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        asked = asked_bytes(error)
        if in_stage and asked < TOO_LARGE * memory_bytes():
            raise MachineError(
                f"{scan}: not enough memory; close other programs and repeat the command, which goes on from here, or "
                "take this scan out of the cohort"
            ) from error
        wanted = f" (an array of {asked / 2**30:.1f} GB)" if asked else ""
        raise UserError(
            f"{scan}: too large for the memory of this machine{wanted}; take a machine with more, or resample the scan"
        ) from error
