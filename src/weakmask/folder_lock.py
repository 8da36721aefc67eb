"""A lock on a folder: one process at a time works in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from weakmask.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; file systems without locks are used without one.

    The lock ends with the process, however it ends.

    Args:
        folder: It exists.

    Raises:
        UserError: Another process is working in it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"{folder} is in use by another process; wait for it, or choose another folder"
                ) from error
        yield
    finally:
        os.close(descriptor)
