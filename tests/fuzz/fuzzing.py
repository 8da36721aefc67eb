"""One damaged file -> what the reader made of it; the same target and number give the same file and answer."""

import random
import resource
import shutil
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from mutations import damaged
from targets import Target

from weakmask.errors import UserError

Answer = Literal["accepted", "refused", "error", "long line", "memory", "hang"]
FAULTS: tuple[Answer, ...] = ("error", "long line", "memory", "hang")
SECONDS = 10.0  # for one file
MEMORY_BYTES = 2 << 30
LONGEST = 2000  # letters of a message


class Hang(BaseException):
    """A reader takes too long; no reader catches it."""


@dataclass(frozen=True)
class Outcome:
    """The answer of a reader to a damaged file.

    Attributes:
        answer: `accepted` and `refused` (a UserError of one line) are right; all others are faults.
        text: The message or the traceback.
    """

    answer: Answer
    text: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether the reader is at fault."""
        return self.answer in FAULTS


def content_of(name: str, target: Target, number: int) -> bytes:
    """The damaged file with a number."""
    rng = random.Random(f"{name} {number}")
    return target.pack(damaged(rng.choice(target.seeds), rng, target.words))


def outcome_of(name: str, target: Target, number: int, folder: Path) -> Outcome:
    """Read the damaged file with a number.

    Args:
        name: Of the target.
        target: The reader.
        number: Of the file.
        folder: An own folder of this target; it is emptied and filled.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target.around(folder)
    path = folder / target.name
    path.write_bytes(content_of(name, target, number))
    try:
        with at_most(SECONDS):
            target.read(path)
    except UserError as error:
        line = str(error)
        wrong = len(line) > LONGEST or "\n" in line
        return Outcome("long line" if wrong else "refused", line[:LONGEST])
    except Hang:
        return Outcome("hang", f"more than {SECONDS:g} s")
    except MemoryError:
        return Outcome("memory", traceback.format_exc(limit=-3))
    except Exception:
        return Outcome("error", traceback.format_exc(limit=-4))
    return Outcome("accepted")


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `Hang` in the block after some time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit_memory() -> None:
    """Let this process have `MEMORY_BYTES` more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
