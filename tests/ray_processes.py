"""Processes of the Ray workers that a test has started."""

import os
from pathlib import Path

MARK = "WEAKMASK_RAY_TEST"  # environment variable of a test's workers; its value is the number of the test's process


def workers_at(work: bytes) -> list[int]:
    """Process numbers of this test's workers that are at a piece of work.

    Args:
        work: Beginning of their title, as Ray sets it.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if title.startswith(work) and f"{MARK}={os.getpid()}".encode() in environment.split(b"\0"):
            found.append(int(process.name))
    return found
