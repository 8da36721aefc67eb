"""The page to scroll in of a result that lies in its folder, and its layers read back from there."""

from pathlib import Path
from typing import TypedDict

import numpy as np

from weakmask.errors import UserError
from weakmask.inference.result_files import PREVIEW, add_files, holds_instances, recorded_files, refuse_changed
from weakmask.inference.scan_record import VIEWER, ScanRecord
from weakmask.progress import collected_notes
from weakmask.regions.segment_scan import read_scan
from weakmask.report.scan_view import ScanView
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Box
from weakmask.volume.stack_files import open_stack
from weakmask.volume.volume import Kind, Volume
from weakmask.web.viewer_page import viewer_page


def recorded_image(record: ScanRecord) -> Volume:
    """The image of a result, read from its own place.

    Raises:
        UserError: It was given as an array, or cannot be read any more.
    """
    if not record.image:
        raise UserError(f"{record.scan}: its image was given as an array; there is no file to show")
    with collected_notes():  # they were printed when the scan was segmented
        return read_scan(Path(record.image), record.scan, record.origin.settings.get("series")).image


class Layers(TypedDict):
    """The layers of a result; None where there is none."""

    mask: Volume | None
    activation: Volume | None
    regions: Volume | None


def recorded_layers(folder: Path, record: ScanRecord, image: Volume, part: Box | None = None) -> Layers:
    """Mask, activation and regions of a result on the grid of its image, read from its folder.

    Args:
        folder: The folder.
        record: Its record.
        image: The image.
        part: The voxels of a stack that the image is; None: all.

    Raises:
        UserError: A file cannot be read, or has another shape than the image.
    """
    names = recorded_files(record)

    def layer(name: str, kind: Kind) -> Volume | None:
        """A written file; None if it was not written."""
        file = folder / names.get(name, "-")
        if not file.exists():
            return None
        voxels = read_volume(file, kind).voxels if part is None else _part_of(file, kind, part)
        if voxels.shape != image.voxels.shape:
            raise UserError(f"{file}: has {voxels.shape} voxels, its image {image.voxels.shape}; segment it again")
        in_bytes = kind == "image" and voxels.dtype == np.uint8
        return image.with_voxels(voxels / np.float32(255) if in_bytes else voxels, kind)

    return Layers(
        mask=layer("mask", "label"), activation=layer("activation", "image"), regions=layer("regions", "label")
    )


def _part_of(file: Path, kind: Kind, part: Box) -> np.ndarray:
    """The voxels of a box of a stack; none where the stack is smaller."""
    stack = open_stack(file, kind)
    return stack.read(part) if part.clipped(stack.shape) == part else np.zeros((0, 0, 0))


def add_viewer(folder: Path, record: ScanRecord, image: Volume | None = None) -> ScanRecord:
    """Write view.html into the folder of a result, and note it in the record.

    Args:
        folder: The folder of the result.
        record: Its record.
        image: Its image; None: read from its place.

    Raises:
        UserError: The image cannot be read any more, or a user changed the page.
        MachineError: The folder cannot be written.
    """
    if holds_instances(record):
        raise UserError(f"{folder}: holds instances; the page shows masks of classes")
    refuse_changed(folder, record, [VIEWER])
    shown = recorded_image(record) if image is None else image
    layers = recorded_layers(folder, record, shown)
    view = ScanView(record.scan, shown, record.window, **layers, region_names=record.region_names)
    preview = (folder / PREVIEW).read_bytes() if (folder / PREVIEW).exists() else b""
    page = viewer_page(view, record.statistics, hounsfield=record.hounsfield, preview=preview)
    return add_files(folder, record, {VIEWER: page.encode()}, [VIEWER])
