"""Progress for a person: a bar with the time left on everything longer than two seconds, silent where nobody looks."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)
Item = TypeVar("Item")  # 3.11 has no `def track[Item]`


@contextmanager
def bar(label: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
    """Show a bar; yields `advance(steps=1, note="")`, the note standing behind the bar (a loss, a scan's name)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, refresh_per_second=4) as progress:
        task = progress.add_task(label, total=total, completed=done, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            """Move the bar on, with what is to stand behind it."""
            progress.update(task, advance=steps, note=note)

        yield advance


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Go through items with a bar."""
    with bar(label, total) as advance:
        for item in items:
            yield item
            advance()
