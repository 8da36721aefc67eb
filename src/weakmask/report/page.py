"""The report: one HTML file with everything in it, written from what a run or a prediction found."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError
from weakmask.report.curves import SMOOTHED_FROM, VALIDATION, draw_curves, gather_curves
from weakmask.report.figures import heat_gradient
from weakmask.report.provenance_table import config_lines, facts
from weakmask.report.scan_card import Card, draw_scan
from weakmask.report.scan_view import ScanView
from weakmask.report.summary_table import summary_table

__all__ = ["Page", "ScanView", "write_report"]

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, eq=False)
class Page:
    """What a report tells. All text is escaped; give it plain.

    Attributes:
        title: What was run.
        summary: One sentence with the result.
        tiles: Key numbers, (label, value).
        table: Methods and their numbers, with summary.csv's columns.
        views: Scans to show, or functions that load one; one is held at a time.
        curves: Training curves (see `curves.gather_curves`).
        config: The resolved settings.
        methods_text: The methods paragraph; blank lines part paragraphs.
        provenance: Versions, seed, device, inputs with hashes, seconds and memory per stage: a manifest.
        notes: What the reader must know: scans left out and why, warnings.
        table_caption: The line below the table.
        picture: A figure below the table, as a data URI.
        picture_caption: What it shows.
        open_scans: How many scans are shown open; the others behind their names.
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


def write_report(path: Path, page: Page) -> None:
    """Write the page as one self-contained file, complete or not at all.

    A scan that cannot be read never stops the others: it is left out and named among the notes.

    Raises:
        UserError: The folder cannot be written.
    """
    cards, faults = _draw_all(page.views)
    lines, tables = facts({key: value for key, value in page.provenance.items() if key != "notes"})
    # a manifest carries its notes along; each is shown once
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
            ranked=any(card.judged for card in cards) and len({card.rank for card in cards}) > 1,
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
            notes=notes,
        )
    )
    with atomic_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _draw_all(views: Iterable[ScanView | Callable[[], ScanView]]) -> tuple[list[Card], list[str]]:
    """Cards, worst first, and a line for every scan that could not be read."""
    cards, faults = [], []
    for item in views:
        try:
            cards.append(draw_scan(item() if callable(item) else item))
        except UserError as error:
            faults.append(f"A scan is not shown: {error}")
    return sorted(cards, key=lambda card: (math.isnan(card.rank), card.rank)), faults


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
