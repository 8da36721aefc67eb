"""The tables and the report of an experiment, with the paper's own numbers beside those of its runs."""

import math
from collections.abc import Sequence

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.experiments.experiment import Experiment, Judged, Setup
from weakmask.experiments.gather import judged_runs
from weakmask.pipeline import Work, provenance, stage_folder
from weakmask.pipeline.cohort_cases import evaluated_cases
from weakmask.region_learning.run_report import scan_view
from weakmask.report.figures import data_uri
from weakmask.report.mask_examples import cut_example, draw_examples
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume
from weakmask.volume.storage_order import in_order_of


def write_results(experiment: Experiment, setup: Setup) -> pd.DataFrame:
    """Write the tables and report.html of all complete runs; returns the table to print.

    Raises:
        UserError: No run is complete.
    """
    runs = judged_runs(experiment, setup)
    if not runs:
        raise UserError(f"{setup.out}: no run is complete, so there is nothing to tabulate")
    found = experiment.tabulate(runs)
    for name, table in found.files.items():
        with atomic_file(setup.out / name) as temporary:
            write_csv(table, temporary, "%.6g")
    if found.picture:
        with atomic_file(setup.out / "examples.webp") as temporary:
            temporary.write_bytes(found.picture)
    page = Page(
        title=f"{experiment.title} ({setup.preset_name})" if len(experiment.presets) > 1 else experiment.title,
        summary=found.summary,
        table=with_published(experiment, found.report),
        table_caption=experiment.caption,
        picture=data_uri(found.picture, "image/webp") if found.picture else "",
        picture_caption=experiment.picture_caption,
        views=found.views,
        methods_text=f"After {experiment.paper}.",
        notes=found.notes,
        provenance=provenance(),
    )
    write_report(setup.out / "report.html", page)
    return found.console


def with_published(experiment: Experiment, table: pd.DataFrame) -> pd.DataFrame:
    """The report's table without the rows' short names, and with the paper's own numbers where there are any."""
    published = [experiment.rows[row].published for row in table["row"]]
    headings = dict.fromkeys(heading for of_row in published for heading in of_row)
    paper = {heading: [of_row.get(heading, math.nan) for of_row in published] for heading in headings}
    return table.drop(columns="row").assign(**paper)


def view_of(judged: Judged, scan: str, headline: str, rank: float) -> ScanView:
    """Load a test scan with its truth, and the mask and the map of a run of a method that learns from regions.

    Args:
        judged: The run.
        scan: Name of the scan.
        headline: A line of numbers beside the name.
        rank: The scans of a report are shown by ascending rank.
    """
    work = Work(judged.run, judged.run, judged.settings)
    cohort, cases = evaluated_cases(work)
    case = next(case for case in cases if case.name == scan)
    return scan_view(work, (case, cohort), headline, rank)


def examples_picture(runs: Sequence[Judged], scans: Sequence[str]) -> bytes:
    """Draw the masks of these runs in some test scans, as WebP; empty without runs or scans."""
    folders = {run.row.title: stage_folder(run.run, "maps") / "masks" for run in runs}
    examples = []
    for scan in scans if runs else ():
        view = view_of(runs[0], scan, "", 0.0)
        files = {title: folder / f"{scan}.nii.gz" for title, folder in folders.items()}
        masks = {title: read_volume(file, "label") for title, file in files.items() if file.exists()}
        examples.append(cut_example(view, {t: in_order_of(mask, view.image.geometry) for t, mask in masks.items()}))
    return draw_examples(examples)
