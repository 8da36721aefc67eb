"""The report of a run: the table of the classes."""

from collections.abc import Callable
from functools import partial

from weakmask.csv_table import read_csv
from weakmask.datasets.case import Case
from weakmask.methods.v_net.config import VNetSettings
from weakmask.methods.v_net.evaluation import mask_file, read_summary
from weakmask.methods.v_net.model import TITLES, methods_text
from weakmask.methods.v_net.prepare import read_case
from weakmask.pipeline import Run, Work
from weakmask.pipeline.cohort_cases import evaluated_cases
from weakmask.report.page import Page, ScanView
from weakmask.volume.files import read_volume


def run_page(run: Run[VNetSettings]) -> Page:
    """The report of a finished run; its table is the summary.

    Raises:
        UserError: The run is not finished.
    """
    summary = read_summary(run.stage("evaluation"))
    title = TITLES[run.config.network.name]
    means = summary.loc[summary["class"] == "mean", "dice"].tolist()
    found = f"mean Dice of the classes {means[0]:.3f}" if means else "no scan was evaluated"
    return Page(
        title=f"{title}: {run.folder.name}",
        summary=f"{title}, {found}.",
        table=summary if len(summary) else None,
        table_caption="surface mm: mean distance from the surface of the mask to that of the truth, and back.",
        scans=_scans(run),
        curves=read_csv(run.stage("train") / "curves.csv"),
        config=run.config.model_dump(mode="json"),
        methods_text=methods_text(run.config),
        provenance=run.manifest(),
    )


def _scans(run: Run[VNetSettings]) -> dict[str, Callable[[], ScanView]]:
    """Name -> a way to load the scan, of those with a mask."""
    work, folder = Work(run.folder, run.folder, run.config), run.stage("evaluation")
    _, cases = evaluated_cases(work)
    return {case.name: partial(_view, work, case) for case in cases if mask_file(folder, case.name).exists()}


def _view(work: Work[VNetSettings], case: Case) -> ScanView:
    """A scan with its mask and its truth."""
    image, truth = read_case(case, work)
    grey = float(image.voxels.min()), float(image.voxels.max())
    mask = read_volume(mask_file(work.stage("evaluation"), case.name), "label")
    return ScanView(case.name, image, grey, mask=mask, truth=truth)
