"""Progress of long work: bars on a terminal, else one line a minute. And notes on what was read or decided."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from weakmask.outgoing_text import one_line
from weakmask.terminal import err as console
from weakmask.terminal import say

Item = TypeVar("Item")  # 3.11 has no `def track[Item]`
EVERY_SECONDS = 60  # between two lines where there is no terminal
_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)
_printed: set[str] = set()


def note(line: str, *, again: bool = False) -> None:
    """Print a note, or add it to the list of the `collected_notes` around the call.

    A line is printed once in a process: a scan may be read several times.

    Args:
        line: The note.
        again: Print it even if it was printed before.
    """
    collected = _collected.get()
    if collected is not None:
        collected.append(line)
    elif again or line not in _printed:
        _printed.add(line)
        say("note", line)


@contextmanager
def collected_notes() -> Iterator[list[str]]:
    """Collect the notes that are made in a block, in order, instead of printing them."""
    lines: list[str] = []
    token = _collected.set(lines)
    try:
        yield lines
    finally:
        _collected.reset(token)


@contextmanager
def bar(label: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
    """Show progress; yield `advance(steps=1, note="")`, whose note (a loss, a scan's name) is shown after the count."""
    if not console.is_terminal:
        yield MinuteLines(label, total, done).advance
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        task = progress.add_task(label, total=total, completed=done, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            """Advance the bar and set the note after it."""
            progress.update(task, advance=steps, note=note)

        yield advance


class MinuteLines:
    """Progress for a log file: a line at most once a minute, and none for work that is shorter."""

    def __init__(self, label: str, total: int, done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            label: The word before the count.
            total: Steps of the whole work.
            done: Steps that were done before, in an earlier run.
            clock: Seconds from any start.
        """
        self._label, self._total, self._clock = label, total, clock
        self._before, self._done = done, done
        self._start = self._last = clock()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps, and print a line if the last one is a minute old."""
        self._done += steps
        now = self._clock()
        if now - self._last < EVERY_SECONDS or self._done >= self._total:
            return
        self._last = now
        seconds = (now - self._start) / max(1, self._done - self._before) * (self._total - self._done)
        left = timedelta(seconds=round(seconds))
        line = f"{self._label} {self._done}/{self._total}  {left} left  {note}"
        console.print(one_line(line.rstrip()), markup=False, highlight=False, soft_wrap=True)


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Iterate over items and show the progress."""
    with bar(label, total) as advance:
        for item in items:
            yield item
            advance()
