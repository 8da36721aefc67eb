"""The forms in which an image and its regions come: a file, a DICOM folder, a volume, an array."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.prediction import Scan
from weakmask.regions.scan_regions import RegionSource
from weakmask.regions.segment_scan import read_scan
from weakmask.volume.files import read_volume
from weakmask.volume.scan_files import has_series
from weakmask.volume.volume import Kind, Volume

Image = str | Path | Volume | np.ndarray


def as_scan(
    image: Image, spacing_mm: Sequence[float] | None, name: str | None, series: str | None
) -> tuple[Scan, Path]:
    """The scan of an image, and its file; for an image without a file, its name.

    Raises:
        UserError: As `as_volume`, or a series for what is not DICOM.
    """
    if series is not None and not (isinstance(image, str | Path) and has_series(Path(image))):
        raise UserError(f"series={series!r} is for DICOM; leave it out, or give a file or folder of DICOM")
    file = Path(image) if isinstance(image, str | Path) else Path(name or "scan")
    if isinstance(image, str | Path) and spacing_mm is None:
        return read_scan(file, name, series), file  # with the colours of a picture
    return Scan(file.name, as_volume(image, spacing_mm)), file


def as_source(
    regions: Image | RegionSource | None, image: Volume, region_names: str | Mapping[int, str] | None
) -> RegionSource:
    """Where the regions of an image come from; an array lies on the grid of its image.

    Raises:
        UserError: A mask of another shape, a path that is not there, or an unknown numbering.
    """
    if isinstance(regions, RegionSource):
        return regions
    return RegionSource(_masks(regions, image), region_names)


def as_volume(image: Image, spacing_mm: Sequence[float] | None = None, kind: Kind = "image") -> Volume:
    """The volume of a file, a DICOM folder, an array or a volume.

    Args:
        image: A path, a volume, or an array (z, y, x) or (y, x).
        spacing_mm: Voxel size of an array along each axis, in mm.
        kind: "label" for masks.

    Raises:
        UserError: A file that cannot be read, an array without a spacing or of a wrong shape, or a spacing for an image
            that has one.
    """
    if isinstance(image, str | Path | Volume):
        if spacing_mm is not None:
            raise UserError("spacing_mm is for arrays; a file and a volume have their own spacing; leave it out")
        return image if isinstance(image, Volume) else read_volume(image, kind)
    if spacing_mm is None:
        raise UserError("an array has no voxel size; give spacing_mm=(z, y, x) in mm")
    try:
        return Volume.from_array(image, spacing_mm, kind)
    except ValueError as error:
        raise UserError(str(error)) from error


def _masks(regions: Image | None, image: Volume) -> Path | Volume | None:
    """Regions as a source takes them."""
    if regions is None or isinstance(regions, Volume):
        return regions
    if isinstance(regions, str | Path):
        return Path(regions)
    labels = np.asarray(regions)
    spacing = image.geometry.spacing_mm
    volume = as_volume(labels, spacing[-labels.ndim :], "label")
    if volume.voxels.shape != image.voxels.shape:
        raise UserError(
            f"the region mask has shape {volume.voxels.shape}; expected the image's {image.voxels.shape}: resample it"
        )
    return Volume(volume.voxels, image.geometry, "label")
