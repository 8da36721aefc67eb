"""The ways in which a command ends: done, an error in one line, or stopped by a signal after the cleaning up."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from weakmask.errors import MachineError, UserError, is_machine_fault
from weakmask.memory import is_out_of_memory
from weakmask.terminal import say

SIGNALS = ("SIGTERM", "SIGHUP")  # of a scheduler, and of a terminal that is closed; Windows lacks the second
AT_FAULT = 2  # exit code of a mistake of the user and of a fault of the machine


class Stopped(BaseException):
    """A signal asks the process to end; not an Exception, so that only cleaning up catches it.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        """Keep the number of the signal."""
        super().__init__(number)
        self.number = number


@contextmanager
def ending_well() -> Iterator[None]:
    """Run a command so that it ends in one line and with the right exit code, whatever happens.

    Raises:
        SystemExit: After a fault or a signal; errors of the program pass unchanged.
    """
    _replace_closed_streams()
    try:
        with _signals_raise(), _quiet_threads():
            try:
                yield
            finally:
                sys.stdout.flush()  # while a full disk can still be reported in one line
    except (UserError, MachineError) as error:
        _end_with(str(error))
    except BrokenPipeError:  # the reader of the pipe has ended, as `head` does
        _leave_unwritten()
        sys.exit(1)
    except OSError as error:
        if not (is_machine_fault(error) or isinstance(error, PermissionError)):
            raise
        _leave_unwritten()
        where = error.filename or "the standard output or a file"
        _end_with(f"{where}: {error.strerror}; mend it and repeat the command")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _end_with("not enough memory; close other programs and repeat the command")
    except KeyboardInterrupt:
        _end_stopped(signal.SIGINT)
    except Stopped as stopped:
        _end_stopped(stopped.number)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Raise `Stopped` on a signal, so that temporary files are removed; a second one ends the process at once."""

    def stop(received: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the interpreter gives both
        """Raise `Stopped`, and let a second signal of this kind end the process."""
        signal.signal(received, signal.SIG_DFL)
        raise Stopped(received)

    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}  # nohup ignores
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Keep threads silent about a fault of the machine, which the main thread meets and reports too."""
    before = threading.excepthook

    def report(fault: threading.ExceptHookArgs) -> None:
        """Print the traceback of a thread, unless the machine is at fault."""
        if fault.exc_value is None or not is_machine_fault(fault.exc_value):
            before(fault)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = before


def _end_with(line: str) -> None:
    say("error", line)
    sys.exit(AT_FAULT)


def _end_stopped(number: int) -> None:
    with suppress(OSError):  # the terminal may be gone
        say("stopped;", "the same command goes on from here")
    sys.exit(128 + number)


def _replace_closed_streams() -> None:
    """Give streams that were closed before the start (`>&-`) a place to print to."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open to the end


def _leave_unwritten() -> None:
    """Let the interpreter forget what standard output could not take; else it complains again at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
