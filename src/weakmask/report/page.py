"""The HTML report of a run or a prediction, one self-contained file."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.outgoing_text import escaped, some_of
from weakmask.report.curves import SMOOTHED_FROM, VALIDATION, draw_curves, gather_curves
from weakmask.report.figures import heat_gradient
from weakmask.report.provenance_table import config_lines, facts
from weakmask.report.scan_card import Card, draw_scan
from weakmask.report.scan_view import ScanView
from weakmask.report.summary_table import summary_table

__all__ = ["Page", "ScanView", "write_report"]

TEMPLATES = Path(__file__).parent / "templates"
PAGES = "view"  # beside a report: a page to scroll in for each scan that was viewed
SAME_NOTES = 3  # from so many scans on, a note that they share is written once


@dataclass(frozen=True, eq=False)
class Page:
    """Content of a report; all text is plain and is escaped on writing.

    Attributes:
        title: Name of the run.
        summary: One sentence with the result.
        tiles: Key numbers, (label, value).
        table: Methods and their numbers, with summary.csv's columns.
        views: Scans to show, or functions that load one; one scan is in memory at a time.
        curves: Training curves (see `curves.gather_curves`).
        config: The resolved settings.
        methods_text: The methods paragraph; blank lines separate paragraphs.
        provenance: Versions, seed, device, inputs with hashes, seconds and memory per stage (a manifest).
        notes: Warnings, and scans that were left out with the reasons.
        table_caption: The line below the table.
        picture: A figure below the table, as a data URI.
        picture_caption: Caption of the figure.
        open_scans: Number of scans that are shown unfolded; the others are folded behind their names.
        scans: Name -> function that loads the scan, of every scan of a run that can be viewed on a page of its own.
    """

    title: str
    summary: str
    tiles: tuple[tuple[str, str], ...] = ()
    table: pd.DataFrame | None = None
    views: Iterable[ScanView | Callable[[], ScanView]] = ()
    curves: pd.DataFrame | None = None
    config: Mapping[str, Any] | None = None
    methods_text: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    table_caption: str = ""
    picture: str = ""
    picture_caption: str = ""
    open_scans: int = 5
    scans: Mapping[str, Callable[[], ScanView]] = field(default_factory=dict)


def write_report(path: Path, page: Page) -> None:
    """Write the page as one self-contained file, complete or not at all.

    A scan that cannot be read does not stop the others: it is left out and listed in the notes.

    Raises:
        MachineError: The folder cannot be written.
    """
    cards, faults = _draw_all(page.views, path.parent)
    lines, tables = facts({key: value for key, value in page.provenance.items() if key != "notes"})
    # a manifest holds notes too; each note is shown once
    notes = list(dict.fromkeys([*page.notes, *page.provenance.get("notes", ()), *faults]))
    curves = gather_curves(page.curves) if page.curves is not None and len(page.curves) else {}
    html = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            table=summary_table(page.table) if page.table is not None and len(page.table) else None,
            cards=cards,
            drawn={what for card in cards for what in card.drawn},
            ranked=any(card.compared for card in cards) and len({card.rank for card in cards}) > 1,
            has_planes=any(card.levels for card in cards),
            heat_gradient=heat_gradient(),
            curves=draw_curves(curves) if curves else "",
            curve_names=list(curves),
            split=any(VALIDATION in lines for lines in curves.values()),
            smoothed=any(len(steps) >= SMOOTHED_FROM for lines in curves.values() for steps, _ in lines.values()),
            config=config_lines(page.config) if page.config else (),
            paragraphs=[part.strip() for part in page.methods_text.split("\n\n") if part.strip()],
            facts=lines,
            fact_tables=tables,
            notes=_grouped(notes),
        )
    )
    with atomic_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _grouped(notes: Iterable[str]) -> list[str]:
    """Notes that say the same of several scans, `NAME: ...`, become one."""
    scans: dict[str, list[str]] = {}
    for note in notes:
        scan, colon, text = note.partition(": ")
        scans.setdefault(text if colon else note, []).append(scan)
    lines = []
    for text, names in scans.items():
        if len(names) >= SAME_NOTES:
            lines.append(f"{text} ({len(names)} scans: {some_of(names, SAME_NOTES)})")
        else:
            lines += [text if text == name else f"{name}: {text}" for name in names]
    return lines


def scan_page(folder: Path, name: str) -> Path:
    """The page to scroll in of a scan, below the folder of the report."""
    return folder / PAGES / f"{name}.html"


def _draw_all(views: Iterable[ScanView | Callable[[], ScanView]], folder: Path) -> tuple[list[Card], list[str]]:
    """Cards, worst first, with links to the pages that are there, and one line per scan that could not be read."""
    cards, faults = [], []
    for item in views:
        try:
            with memory_for("a scan"):
                cards.append(draw_scan(_linked(item() if callable(item) else item, folder)))
        except UserError as error:
            faults.append(f"A scan is not shown: {error}")
    return sorted(cards, key=lambda card: (math.isnan(card.rank), card.rank)), faults


def _linked(view: ScanView, folder: Path) -> ScanView:
    """A view with a link to its page, if it is there."""
    link = f"{PAGES}/{quote(view.name)}.html" if scan_page(folder, view.name).exists() else ""
    return replace(view, link=view.link or link)


@cache
def _environment() -> Environment:
    """The templates, which are compiled once."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: escaped(value, layout=True) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
