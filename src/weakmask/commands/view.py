"""`weakmask view`: a result, a scan of a training run, or a mask of any tool and its image -> a page to scroll in."""

from collections.abc import Sequence
from pathlib import Path

from weakmask.commands.output_folder import open_output
from weakmask.commands.view_run import is_run, write_run_pages, write_view
from weakmask.datasets.mask_checks import on_grid
from weakmask.errors import UserError
from weakmask.inference.scan_record import VIEWER, read_record
from weakmask.inference.viewer_file import add_viewer
from weakmask.outgoing_text import some_of
from weakmask.report.scan_view import LUNG_WINDOW, ScanView
from weakmask.volume.files import read_volume, scan_name
from weakmask.volume.pictures import is_picture


def write_pages(
    results: Path,
    names: Sequence[str] = (),
    image: Path | None = None,
    truth: Path | None = None,
    page: Path | None = None,
) -> list[Path]:
    """Write a page for a result, for all results of a folder, for scans of a run, or for a mask and its image.

    Args:
        results: A scan's folder, the folder of all results, a run of `weakmask train`, or a mask.
        names: Names of scans of a run, or of a folder of results; none: all results.
        image: The image of a mask.
        truth: A true mask to show beside it.
        page: The file for a mask; None: its name with `_view.html`, beside it.

    Raises:
        UserError: Nothing to show, an image that is missing, another grid, or a page that is a file of the user's.
    """
    if image is not None:
        if names:
            raise UserError(f"{names[0]}: names of scans are for results and runs; leave it out, or leave --image out")
        return [_page_of_mask(results, image, truth, page)]
    if truth is not None or page is not None:
        raise UserError("--truth and --out are for a mask of any tool; give its image, too (--image)")
    if is_run(results):
        return write_run_pages(results, names)
    if not results.is_dir():
        raise UserError(f"{results}: no result of `weakmask predict`; give its folder, or a mask with --image")
    folders = [results, *sorted(path for path in results.iterdir() if path.is_dir() and path.name[0] != ".")]
    found = [(folder, record) for folder in folders if (record := read_record(folder)) is not None]
    if not found:
        raise UserError(f"{results}: holds no result of `weakmask predict`; give a mask with its --image")
    unknown = [name for name in names if name not in {record.scan for _, record in found}]
    if unknown:
        held = some_of([record.scan for _, record in found])
        raise UserError(f"{results}: has no result of a scan {unknown[0]}; its scans are {held}")
    found = [(folder, record) for folder, record in found if not names or record.scan in names]
    for folder, record in found:
        add_viewer(folder, record)
    return [folder / VIEWER for folder, _ in found]


def _page_of_mask(mask_file: Path, image_file: Path, truth_file: Path | None, page: Path | None) -> Path:
    """The page of a mask of any tool."""
    name = scan_name(mask_file)
    page = page or mask_file.parent / f"{name}_view.html"
    open_output(page.parent, "view", [page], [path for path in (mask_file, image_file, truth_file) if path is not None])
    image = read_volume(image_file)
    mask = on_grid(read_volume(mask_file, "label"), image.geometry, mask_file)
    truth = None if truth_file is None else on_grid(read_volume(truth_file, "label"), image.geometry, truth_file)
    grey = float(image.voxels.min()), float(image.voxels.max())
    in_hounsfield = not is_picture(image_file) and grey[0] < 0
    write_view(page, ScanView(name, image, LUNG_WINDOW if in_hounsfield else grey, mask=mask, truth=truth))
    return page
