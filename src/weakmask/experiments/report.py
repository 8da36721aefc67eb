"""The tables and the report of an experiment, with the paper's own numbers beside those of its runs."""

import math

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.experiments.experiment import Experiment, Judged, Setup
from weakmask.experiments.gather import judged_runs
from weakmask.pipeline import provenance, stage_folder
from weakmask.region_learning.settings import PrepareSettings
from weakmask.region_learning.usable_cases import in_hounsfield
from weakmask.regions.scan_regions import read_regions
from weakmask.report.figures import data_uri
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume


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
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
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
    paper = {} if all(map(math.isnan, published)) else {"published": published}
    return table.drop(columns="row").assign(**paper)


def view_of(judged: Judged, scan: str, headline: str, rank: float, prepare: PrepareSettings) -> ScanView:
    """Load a test scan with its truth, and the mask and the map of a run.

    Args:
        judged: The run.
        scan: Name of the scan.
        headline: A line of numbers beside the name.
        rank: The scans of a report are shown by ascending rank.
        prepare: How grey values become Hounsfield units, and the window they are shown in.
    """
    case = next(case for case in read_cohort(judged.test).cases if case.name == scan)
    image, maps = read_volume(case.image), stage_folder(judged.run, "maps")
    regions = None if case.regions is None else read_regions(case.regions, image)
    truth = usable_truth(case, image.geometry)
    mask, activation = (read_volume(maps / kind / f"{scan}.nii.gz").voxels for kind in ("masks", "activation"))
    return ScanView(
        name=scan,
        image=image if regions is None else in_hounsfield(image, regions, prepare),
        window_hu=prepare.window,
        mask=image.with_voxels(mask, "label"),
        activation=image.with_voxels(activation),
        truth=truth,
        regions=regions,
        headline=headline,
        rank=rank,
    )
