"""Peak memory of one stage."""

import platform
import re
from contextlib import suppress
from pathlib import Path

from weakmask import windows

try:
    import resource
except ImportError:  # of POSIX alone
    resource = None

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak_memory() -> None:
    """Begin a new measurement; without effect where the system keeps only the peak of the whole process."""
    with suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")


def peak_memory_mb() -> float:
    """Peak resident memory in MiB since `reset_peak_memory`; outside Linux, of the process so far."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
        if found:
            return int(found[1]) / 2**10
    if resource is None:
        return windows.peak_memory_bytes() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, KiB elsewhere
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10
