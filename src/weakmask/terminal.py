"""The two streams of the command line: what comes from outside is shown as text, never as markup or as a command."""

import io
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from weakmask.errors import MachineError
from weakmask.outgoing_text import escaped, one_line

STYLES = {  # label -> its colour
    "error": "bold red",
    "left out": "red",
    "not sent": "red",
    "note": "yellow",
    "warning": "yellow",
    "have": "green",
    "off": "dim",
    "done": "green",
}
MOST_LINES = 24  # of a list: a screen
MOST_OF_A_KIND = 3  # of a longer list


class Terminal(Console):
    """A console that shows control characters and bytes that are not UTF-8 as their codes, whatever prints them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, with harmless text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escaped(segment.text, layout=True))


class Stream:
    """Standard output or standard error, whatever it is at the time of writing.

    Work goes on if the standard error cannot be written; a result that cannot be printed is a fault.
    """

    def __init__(self, name: str) -> None:
        """Take the name of the stream: `stdout` or `stderr`."""
        self._name = name

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            MachineError: The standard output cannot be written, because its disk is full, for instance.
        """
        return self._try("write", text) or 0

    def flush(self) -> None:
        """Write what is waiting.

        Raises:
            MachineError: As `write`.
        """
        self._try("flush")

    def isatty(self) -> bool:
        """Whether it is a terminal; a closed stream is none."""
        stream = getattr(sys, self._name)
        return stream is not None and stream.isatty()

    def __getattr__(self, name: str) -> Any:
        """Everything else of the stream, its encoding, for instance."""
        return getattr(getattr(sys, self._name), name)

    def _try(self, what: str, *arguments: str) -> Any:
        stream = getattr(sys, self._name)
        if stream is None:  # closed
            return None
        try:
            return getattr(stream, what)(*arguments)
        except BrokenPipeError:
            raise
        except OSError as error:
            # what is waiting would fail again at the end of the program
            setattr(sys, self._name, _Nowhere())
            if self._name == "stderr":
                return None
            raise MachineError(f"cannot print to the standard output: {error.strerror}; the work is done") from error


class _Nowhere(io.TextIOBase):
    """A stream that drops what is written to it."""

    def write(self, text: str) -> int:
        """Drop the text."""
        return len(text)


out = Terminal(file=cast("IO[str]", Stream("stdout")))
err = Terminal(file=cast("IO[str]", Stream("stderr")), stderr=True)
if not out.is_terminal:
    out.width = 150  # columns of a table for a file or a pipe


def say(label: str, text: str) -> None:
    """Print one line on standard error: a label in its colour, and a text from anywhere.

    Args:
        label: `note`, `left out`, ...; see `STYLES`.
        text: Any text; it is shown as it is, on one line (see `one_line`).
    """
    line = Text.assemble((label, STYLES.get(label, "bold")), f" {one_line(text)}" if text else "")
    err.print(line, highlight=False, soft_wrap=True)


def print_line(text: str) -> None:
    """Print one line on standard output, a text from anywhere."""
    out.print(Text(one_line(text)), highlight=False, soft_wrap=True)


def sum_up(lines: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """The lines of a list for a screen: a long list becomes the first of every kind, and how many more there are.

    Args:
        lines: One line per fault.
        kinds: The kind of each: equal for lines that say the same of different files.
    """
    if len(lines) <= MOST_LINES:
        return list(lines)
    by_kind: dict[str, list[str]] = {}
    for line, kind in zip(lines, kinds, strict=True):
        by_kind.setdefault(kind, []).append(line)
    shown: list[str] = []
    hidden = 0
    for of_kind in by_kind.values():
        if len(shown) >= MOST_LINES:
            hidden += len(of_kind)
            continue
        shown += of_kind[:MOST_OF_A_KIND]
        more = len(of_kind) - MOST_OF_A_KIND
        shown += [f"... ({more:,} more of this kind)"] if more > 0 else []
    return [*shown, f"... ({hidden:,} more of other kinds)"] if hidden else shown
