"""Progress bars with the remaining time; silent if the output is not a terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)
Item = TypeVar("Item")  # 3.11 has no `def track[Item]`


@contextmanager
def bar(label: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
    """Show a bar; yield `advance(steps=1, note="")`, whose note (a loss, a scan's name) is shown after the bar."""
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
            """Advance the bar and set the note after it."""
            progress.update(task, advance=steps, note=note)

        yield advance


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Iterate over items with a bar."""
    with bar(label, total) as advance:
        for item in items:
            yield item
            advance()
