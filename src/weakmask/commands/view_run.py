"""`weakmask view RUN`: the test scans of a training run, each on a page with its prediction and its truth."""

from collections.abc import Sequence
from pathlib import Path

from weakmask.commands.output_folder import open_output
from weakmask.errors import UserError
from weakmask.inference.statistics import region_statistics
from weakmask.methods import load_config, write_run_report
from weakmask.outgoing_text import some_of
from weakmask.pipeline import Run
from weakmask.prediction import Prediction, Value
from weakmask.report.page import PAGES, ScanView, scan_page
from weakmask.report.preview import preview
from weakmask.web.viewer_page import write_viewer


def is_run(folder: Path) -> bool:
    """Whether a folder is a run of `weakmask train`."""
    return (folder / "config.yaml").exists() and not (folder / "predict.json").exists()


def test_scans(run: Path) -> list[str]:
    """The names of the scans of a finished run that have a prediction, the worst first where there is a truth.

    Raises:
        UserError: The run is not finished, or its method keeps no masks of scans.
    """
    method, settings = load_config(run / "config.yaml")
    scans = method.report(Run(run, settings)).scans
    if not scans:
        raise UserError(f"{run}: a run of {method.title} without masks to scroll in; look at its report.html")
    return list(scans)


def write_run_pages(run: Path, names: Sequence[str]) -> list[Path]:
    """Write RUN/view/NAME.html for some test scans of a run, and link the report to them.

    Args:
        run: The folder of a finished run.
        names: Names of scans.

    Raises:
        UserError: The run is not finished, has no such scan, or a page is a file of the user's.
        MachineError: The folder cannot be written.
    """
    method, settings = load_config(run / "config.yaml")
    scans = method.report(Run(run, settings)).scans
    unknown = [name for name in names if name not in scans]
    if unknown:
        held = some_of(list(scans)) or "none"
        raise UserError(f"{run}: has no test scan {unknown[0]}; its test scans are {held}")
    pages = [scan_page(run, name) for name in names]
    new = [page for page in pages if not page.exists()]
    open_output(run / PAGES, "view", pages)
    for name, page in zip(names, pages, strict=True):
        write_view(page, scans[name]())
    if new:
        write_run_report(method, settings, run)
    return pages


def write_view(page: Path, view: ScanView) -> None:
    """Write the page of a scan with a table of its regions.

    Args:
        page: The file.
        view: The scan and its layers.

    Raises:
        MachineError: The folder cannot be written.
    """
    flat = view.image.geometry.shape[0] == 1
    hounsfield = not flat and float(view.image.voxels.min()) < 0
    rows = []
    if view.mask is not None and not flat:
        found = Prediction(view.mask, {}, view.regions, _scores_of(view))
        rows = region_statistics(view.image, found, view.region_names, hounsfield=hounsfield)
    write_viewer(page, view, rows, hounsfield=hounsfield, preview=preview(view))


def _scores_of(view: ScanView) -> tuple[Value, ...]:
    """The predicted scores of the regions."""
    if view.scores is None or not {"fraction", "predicted"} <= set(view.scores.columns):
        return ()
    rows = view.scores.dropna(subset=["fraction", "predicted"]).to_dict("records")
    return tuple(
        Value("region", str(row["region"]), "fraction", float(row["fraction"]), score=int(row["predicted"]))
        for row in rows
    )
