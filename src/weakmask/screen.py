"""What the command line prints, in words and tables."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from weakmask.progress import console as err

out = Console() if sys.stdout.isatty() else Console(width=150)  # columns of a table for a file or a pipe

__all__ = ["err", "out", "print_checked", "print_faults", "print_summary"]


def print_faults(faults: Iterable[Any]) -> None:
    """A line for every fault of a cohort; what was left out because of it stands in red."""
    for fault in faults:
        kind = "[red]left out[/]" if fault.fatal else "[yellow]note[/]"
        err.print(f"{kind} {escape(fault.message)}", highlight=False, soft_wrap=True)


def print_checked(scans: Iterable[str], faults: Iterable[Any]) -> None:
    """The names of a cohort's good scans and all its faults as JSON, for a script."""
    plain = [{"scan": f.scan, "file": str(f.file), "message": f.message, "fatal": f.fatal} for f in faults]
    out.print_json(json.dumps({"scans": list(scans), "faults": plain}))


def print_summary(summary: Any) -> None:
    """A data frame as a table, fractions with three places; columns without any value are left out."""
    summary = summary.dropna(axis="columns", how="all")
    table = Table(*summary.columns, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for row in summary.itertuples(index=False):
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    out.print(table)
