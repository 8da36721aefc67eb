"""The exceptions that the command line reports in one line: mistakes of the user, and faults of the machine."""

import errno
from pathlib import Path

from weakmask.outgoing_text import one_line

MACHINE_ERRNOS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS,  # no room, or no writing at all
        errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ETIMEDOUT,  # a disk or a network share that fails
        errno.EMFILE, errno.ENFILE, errno.ENOMEM,  # files and memory used up
    }
)  # fmt: skip


class UserError(Exception):
    """A fault in the user's input or configuration.

    The message is one line with the value, the expected value and the action to take. The command line prints it
    without a traceback and ends with exit code 2; a program can catch it and continue with the other cases.
    """

    def __init__(self, message: str) -> None:
        """Take the message; names and values in it that are long or not shown do not make it more than one line."""
        super().__init__(one_line(message))


class MachineError(Exception):
    """A fault of the machine: a full disk, no memory, no permission on an output, a share that is gone.

    No input is at fault, so that no other input may be tried instead: it is not a `UserError`, and what leaves a faulty
    scan out and goes on with the others does not catch it. The message is one line; the command line prints it without
    a traceback and ends with exit code 2. The same command goes on when the fault is mended.
    """

    def __init__(self, message: str) -> None:
        """Take the message; names and values in it that are long or not shown do not make it more than one line."""
        super().__init__(one_line(message))


def is_machine_fault(error: BaseException) -> bool:
    """Whether an exception of the system tells of the machine, not of the file that was asked for."""
    return isinstance(error, OSError) and error.errno in MACHINE_ERRNOS


def refuse_machine_fault(error: BaseException, path: str | Path) -> None:
    """Raise a MachineError where reading a file failed by a fault of the machine; else do nothing.

    Args:
        error: The exception that reading raised.
        path: The file, for the message.

    Raises:
        MachineError: The disk, the share, the memory or the number of open files is at fault.
    """
    if isinstance(error, OSError) and is_machine_fault(error):
        raise MachineError(
            f"{path}: cannot be read ({error.strerror}); this is a fault of the machine, not of the file: mend it and "
            "repeat the command"
        ) from error
