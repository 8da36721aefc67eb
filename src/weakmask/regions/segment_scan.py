"""Segmentation of one scan by a model of any method, after its regions are read or made.

The command `predict` and the Python interface both call it, so that both give the same voxels and values.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.prediction import Prediction, Scan, Segmenter, segment_in_any_order
from weakmask.progress import note
from weakmask.regions.checked_regions import refuse_faulty_image
from weakmask.regions.scan_regions import RegionSource, regions_of
from weakmask.volume.files import read_volume, refuse_nonfinite, scan_name
from weakmask.volume.pictures import is_picture, read_rgb


def read_scan(file: Path, name: str | None = None, series: str | None = None) -> Scan:
    """Read one image, a picture with its colours.

    Args:
        file: A file, or a folder of DICOM files.
        name: Of the scan; None: that of the file.
        series: UID of the DICOM series, for a folder with several.

    Raises:
        UserError: As `read_volume`.
    """
    image = read_volume(file, series=series)
    return Scan(name or scan_name(file), image, colour=read_rgb(file)[0] if is_picture(file) else None)


def segment_scan(
    segmenter: Segmenter, scan: Scan, file: Path, source: RegionSource, device: str = "auto"
) -> tuple[Scan, Prediction]:
    """Segment one scan.

    Args:
        segmenter: The model.
        scan: Without its regions.
        file: Its file or folder, for masks of its name and for messages; for an image without a file, its name.
        source: Where its regions come from.
        device: Where a lobe network computes.

    Returns:
        The scan with its regions, and the prediction. The mask of a slice without regions (one above or below the
        lungs) is empty, and it has no values.

    Raises:
        UserError: Voxels that are not finite or not in Hounsfield units where the model needs these, regions that are
            missing, faulty, misplaced or empty, or a scan that does not fit the model.
    """
    refuse_nonfinite(scan.image, file)
    hounsfield = segmenter.needs_hounsfield
    if segmenter.needs_regions:
        known = segmenter.needs_regions
        regions, names = regions_of(file, scan.image, source, known, device, hounsfield=hounsfield)
        scan = replace(scan, regions=regions, region_names=names)
        if is_empty(scan):
            return scan, _empty(scan, file)
    else:
        refuse_faulty_image(scan.image, file, hounsfield=hounsfield)
    return scan, segment_in_any_order(segmenter, scan)


def is_empty(scan: Scan) -> bool:
    """Whether the region mask of a scan has no region."""
    return scan.regions is not None and not bool((scan.regions.voxels > 0).any())


def _empty(scan: Scan, file: Path) -> Prediction:
    """The empty mask of a slice without regions; a volume is refused."""
    line = f"{file}: its region mask is empty"
    shape = scan.image.geometry.shape
    if shape[0] > 1:
        raise UserError(f"{line}; expected at least one labelled region")
    note(f"{line}, and so is the mask", again=True)
    mask = scan.image.with_voxels(np.zeros(shape, np.uint8), "label")
    return Prediction(mask, {}, None, ())
