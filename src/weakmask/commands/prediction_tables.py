"""The tables and the report of a folder of results, made from the results that are there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.inference.scan_record import RECORD, VIEWER, ScanRecord, read_record
from weakmask.inference.shown_scan import shown_scan
from weakmask.inference.trained_model import load
from weakmask.pipeline import provenance
from weakmask.prediction import Quantity, Segmenter, one_sided
from weakmask.report.page import Page, ScanView, write_report
from weakmask.scoring.subtypes import SUBTYPES

REPORT = "report.html"
TABLES = ("scores.csv", "statistics.csv", REPORT)
MOST_SCANS = 12  # shown in a report; the most severe


@dataclass
class Records:
    """The finished results of a folder, in the order of the tables.

    Attributes:
        by_folder: Folder of a result -> its record.
    """

    by_folder: dict[Path, ScanRecord] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of results."""
        return len(self.by_folder)

    def __iter__(self) -> Iterator[tuple[Path, ScanRecord]]:
        """Folder and record of each result."""
        return iter(self.by_folder.items())

    def add(self, folder: Path, record: ScanRecord) -> None:
        """Add a result."""
        self.by_folder[folder] = record

    def add_others(self, out: Path) -> int:
        """Add the other results of the same model in a folder, by name, and return how many there are.

        Args:
            out: The folder of all results.
        """
        found = {folder: read_record(folder) for folder in (out, *sorted(out.iterdir())) if (folder / RECORD).exists()}
        known = {folder: one for folder, one in found.items() if one is not None and not folder.name.startswith(".")}
        wanted = next((one.origin.comparable for one in (*self.by_folder.values(), *known.values())), None)
        others = {
            folder: one
            for folder, one in known.items()
            if folder not in self.by_folder and one.origin.comparable == wanted
        }
        self.by_folder.update(others)
        return len(others)


def table_of(records: Records) -> pd.DataFrame:
    """The rows of scores.csv."""
    return pd.DataFrame([row for _, record in records for row in record.rows])


def write_tables(out: Path, records: Records) -> None:
    """Write scores.csv and statistics.csv.

    Raises:
        MachineError: The folder cannot be written.
    """
    statistics = [{"scan": record.scan, **row, **record.ids} for _, record in records for row in record.statistics]
    for name, table in (("scores.csv", table_of(records)), ("statistics.csv", pd.DataFrame(statistics))):
        if table.empty:
            (out / name).unlink(missing_ok=True)
            continue
        with atomic_file(out / name) as temporary:
            write_csv(table, temporary)


def rewrite_report(out: Path) -> None:
    """Write tables and report of a folder of results again, from the results in it.

    Raises:
        UserError: The folder holds no result, or the model is not there any more.
        MachineError: The folder cannot be written.
    """
    records = Records()
    if not out.is_dir() or not records.add_others(out):
        raise UserError(f"{out}: holds no result of `weakmask predict`; give the folder of its --out")
    write_tables(out, records)
    first = next(record for _, record in records)
    if not first.model_file:
        raise UserError(f"{out}: its results name no model file, so there are tables and no report")
    model = load(first.model_file, "cpu")
    table = table_of(records)
    fractions = table["fraction"].dropna().tolist() if "fraction" in table else []
    notes = (*model.about.notes, *filter(None, [one_sided(fractions, len(records))]))
    write_report(out / REPORT, page_of(model.segmenter, first.model_file, records, (), notes))


def page_of(segmenter: Segmenter, model: str, records: Records, left_out: Sequence[str], notes: Sequence[str]) -> Page:
    """The report: there is no truth, so it shows masks, maps and scores.

    Args:
        segmenter: The model.
        model: Its place, for the reader.
        records: The results.
        left_out: A line for each scan without a result.
        notes: Sentences about the model and its masks.
    """
    about, shown = segmenter.about, [(folder, one) for folder, one in records if not one.is_empty]
    severities = [one.severity for _, one in shown if one.severity is not None]
    span = " to ".join(str(end) for end in sorted({min(severities, default=0), max(severities, default=0)}))
    severity = f"; severity {span}, summed over the regions" if severities else ""
    empty = [f"{one.image}: its region mask is empty" for _, one in records if one.is_empty]
    lines = [*left_out, *empty]
    ordered = sorted(shown, key=lambda pair: -(pair[1].severity or 0))
    return Page(
        title=f"{about.title}: prediction",
        summary=f"{len(shown)} scan{'s' if len(shown) > 1 else ''} segmented with {model}{severity}.",
        tiles=(("scans", str(len(shown))), ("left out", str(len(lines))), *about.tiles),
        views=[partial(_view, segmenter, folder, one) for folder, one in ordered[:MOST_SCANS]],
        config=about.config,
        methods_text=about.methods_text,
        provenance={**provenance(), "model": model, "trained_with": about.provenance},
        notes=(*notes, *(f"left out: {line}" for line in lines)),
    )


def _view(segmenter: Segmenter, folder: Path, one: ScanRecord) -> ScanView:
    """One scan for the report, read back from its files."""
    scan, layers, part = shown_scan(folder, one)
    shown, window = segmenter.shown(replace(scan, regions=layers["regions"], region_names=one.region_names))
    columns = {"region": "region", "fraction": "fraction", "score_predicted": "predicted", "score_set": "set"}
    of_regions = [{new: row.get(old) for old, new in columns.items()} for row in one.rows if row["region"]]
    return ScanView(
        name=one.scan,
        image=shown,
        window_hu=window,
        **layers,
        headline="; ".join(filter(None, [_headline(one), part])),
        rank=-float(one.severity or 0),
        scores=pd.DataFrame(of_regions).dropna(axis="columns", how="all") if of_regions else None,
        region_names=one.region_names,
        link=f"{quote(folder.name)}/{VIEWER}" if (folder / VIEWER).exists() else "",
    )


def _headline(one: ScanRecord) -> str:
    """The severity, the volume of each subtype, and the values of the whole image."""
    severity = "" if one.severity is None else f"severity {one.severity}"
    of_image = [
        f"{row.get('class') or quantity} {row[quantity]:.3g}"
        for row in one.rows
        for quantity in get_args(Quantity)
        if not row["region"] and quantity in row
    ]
    return severity + _subtype_text(one.rows) + ", ".join(of_image)


def _subtype_text(rows: list[dict[str, Any]]) -> str:
    """The volume of each subtype over all regions; empty if lesions were not classified."""
    volumes = {name: sum(float(str(row.get(f"{name}_ml", 0))) for row in rows) for name in SUBTYPES}
    known = any(f"{name}_ml" in row for name in SUBTYPES for row in rows)
    return "; " + ", ".join(f"{name} {ml:.1f} ml" for name, ml in volumes.items()) if known else ""
