"""Output of the command line: help pages, lines and tables."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from weakmask.outgoing_text import one_line
from weakmask.terminal import out, print_line, say, sum_up


class PlainCommand(TyperCommand):
    """A verb whose help shows a flag as `--json`, not as `--json <bool>`, and an argument in capitals."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The verb's arguments and options, named for the help page."""
        return _named_for_help(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """All verbs, with the same plain help as each of them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options that stand before a verb, named for the help page."""
        return _named_for_help(super().get_params(ctx))


def _named_for_help(parameters: Sequence[Any]) -> list[Any]:
    for parameter in parameters:
        if parameter.metavar is None and getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.metavar is None and parameter.param_type_name == "argument":
            parameter.metavar = parameter.name.upper()
    return list(parameters)


def counted(number: int, noun: str) -> str:
    """A number and its noun: `1 scan`, `2 scans`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def print_faults(faults: Iterable[Any]) -> None:
    """Print one line per fault of a cohort; of many faults, the first of every kind and how many more there are."""
    found = list(faults)
    for label, fatal in (("left out", True), ("note", False)):
        of_label = [fault for fault in found if fault.fatal == fatal]
        lines = sum_up([fault.message for fault in of_label], [fault.kind for fault in of_label])
        for line in lines:
            say(label, line)
        if len(lines) < len(of_label):
            say(label, f"{counted(len(of_label), 'line')} in all; `weakmask check --json` lists them")


def print_checked(scans: Iterable[str], faults: Iterable[Any]) -> None:
    """Print the names of a cohort's good scans and all its faults as JSON."""
    plain = [{"scan": f.scan, "file": str(f.file), "message": f.message, "fatal": f.fatal} for f in faults]
    out.print_json(json.dumps({"scans": list(scans), "faults": plain}))


def print_json_line(values: Mapping[str, Any]) -> None:
    """Print plain values as one line of JSON, at once."""
    out.file.write(json.dumps(values, default=float) + "\n")
    out.file.flush()


def print_notes(notes: Iterable[str]) -> None:
    """Print one line per note."""
    for note in notes:
        say("note", note)


def print_good(cases: Sequence[Any], left_out: int = 0) -> None:
    """Print how many scans of a cohort can be used, with how many scored regions and labels.

    Args:
        cases: The scans that can be used.
        left_out: Number of scans that cannot.
    """
    regions = sum(len(case.scores) for case in cases)
    labels = sum(len(classes) for case in cases for classes in case.presence.values())
    parts = [counted(regions, "scored region")] if regions else []
    parts += [counted(labels, "label")] if labels else []
    with_labels = f" with {' and '.join(parts)}" if parts else ""
    if left_out:
        text = f"{counted(len(cases), 'scan')}{with_labels} can be used; {counted(left_out, 'scan')} left out (above)"
    else:
        text = f"{counted(len(cases), 'scan')}{with_labels}: good"
    print_line(text)
    without = [case for case in cases if case.regions is None and case.scores]
    if without:
        text = (
            f"{counted(len(without), 'scan')} without a region mask: `train` finds lobes by network, lungs by threshold"
        )
        print_line(f"{text}; to see them first, run `weakmask lobes`")


def print_exported(written: Any, dataset_id: int) -> None:
    """Print the notes of an export to nnU-Net, how many cases it wrote, and the next command."""
    print_notes(written.notes)
    cases = f"{counted(len(written.training), 'training case')} and {counted(len(written.test), 'test case')}"
    print_line(f"{cases} in {written.folder}; next: nnUNetv2_plan_and_preprocess -d {dataset_id}")


def exit_if_any(failures: Sequence[str], unsent: Sequence[str] = ()) -> None:
    """Exit with code 2 if scans were left out, or results not sent, and say how many.

    Raises:
        typer.Exit: There is at least one failure.
    """
    if failures:
        say("left out:", counted(len(failures), "scan"))
    if unsent:
        say("not sent:", f"{counted(len(unsent), 'result')}; the same command sends what is missing")
    if failures or unsent:
        raise typer.Exit(2)


def print_methods(described: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    """Print the methods with their labels, papers and config files, as JSON or as lines; paths are never cut."""
    if as_json:
        out.print_json(json.dumps(described))
        return
    for name, method in described.items():
        print_line(f"{name}: {method['title']}")
        lines = [("learns from", method["labels"]), ("paper", method["paper"])]
        for title, text in (*lines, *(("config", path) for path in method["configs"])):
            print_line(f"  {title:<12} {text}")


def print_summary(summary: Any) -> None:
    """Print a data frame as a table, fractions with three places, `-` for no number; empty columns are left out."""
    summary = summary.dropna(axis="columns", how="all")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in summary.columns:
        table.add_column(Text(one_line(str(column))))
    for row in summary.itertuples(index=False):
        table.add_row(*(Text(one_line(_cell(value))) for value in row))
    out.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3f}"
    return str(value)
