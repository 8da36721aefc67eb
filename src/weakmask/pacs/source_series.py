"""The DICOM images that a result belongs to."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from weakmask.errors import UserError
from weakmask.volume.dicom import find_dicom
from weakmask.volume.dicom_file import read_dataset
from weakmask.volume.gantry_tilt import TiltedStack, tilted_stack
from weakmask.volume.geometry import Geometry
from weakmask.volume.slice_stack import stack_geometry
from weakmask.volume.storage_order import in_order_of
from weakmask.volume.volume import Volume

# attributes that a written object copies from its source, and that anonymised files may lack
_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber")
_EMPTY_TOO = ("StudyDate", "StudyTime", "ReferringPhysicianName")


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The images of one series, in the order of the slices of its volume.

    Attributes:
        path: Their folder or file, for messages.
        images: Their headers.
        geometry: Of the volume that they make.
        tilted: The leaning stack that they are; None if they do not lean.
    """

    path: Path
    images: tuple[Dataset, ...]
    geometry: Geometry
    tilted: TiltedStack | None = None

    @property
    def uid(self) -> str:
        """SeriesInstanceUID."""
        return str(self.images[0].SeriesInstanceUID)

    def frames_of(self, mask: Volume, what: str) -> np.ndarray:
        """The labels of a mask at the pixels of the images, (image, row, column).

        Args:
            mask: A mask on the grid of the series, its voxels in any order.
            what: Its name or file, for the message.

        Raises:
            UserError: It lies on another grid.
        """
        voxels = self.on_grid(mask, what).voxels
        return voxels if self.tilted is None else self.tilted.leaning(voxels)

    def on_grid(self, mask: Volume, what: str) -> Volume:
        """A mask with its slices in the order of the images.

        Args:
            mask: A mask on the grid of the series, its voxels in any order.
            what: Its name or file, for the message.

        Raises:
            UserError: It lies on another grid.
        """
        try:
            return in_order_of(mask, self.geometry)
        except ValueError as error:
            shape = " x ".join(map(str, mask.geometry.shape))
            expected = " x ".join(map(str, self.geometry.shape))
            raise UserError(
                f"{what}: its grid ({shape}) is not that of the DICOM images in {self.path} ({expected}); give the "
                "series that the mask was made from"
            ) from error


def read_source(path: Path, series: str | None = None) -> SourceSeries:
    """Read the headers of a series.

    Args:
        path: A folder of DICOM files, or one file.
        series: UID, number or description, for a folder with several.

    Raises:
        UserError: No DICOM images, or images without the UIDs and the place that objects refer to.
    """
    found = find_dicom(path, series)
    if found is None:
        raise UserError(f"{path}: no DICOM images; results become DICOM objects of a scan that is DICOM")
    if found.frames > 1:
        raise UserError(f"{path}: enhanced DICOM with {found.frames} frames in a file cannot be referred to yet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of non-standard headers
        images = tuple(read_dataset(one.path, pixels=False, force=True) for one in found.slices)
    for image, one in zip(images, found.slices, strict=True):
        absent = [name for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID") if not image.get(name)]
        absent += ["ImagePositionPatient"] if one.position is None else []
        absent += ["ImageOrientationPatient"] if one.orientation is None else []
        if absent:
            raise UserError(f"{one.path}: has no {absent[0]}, which DICOM objects refer to; export the scan again")
        _complete(image, found.slices[0].orientation)
    tilted = tilted_stack(found.slices, str(path))
    geometry = stack_geometry(found.slices, str(path)) if tilted is None else tilted.geometry
    return SourceSeries(path, images, geometry, tilted)


def _complete(image: Dataset, orientation: tuple[float, ...] | None) -> None:
    """Add empty values that objects copy, and one orientation for all slices, as the volume has it."""
    for name in (*_EMPTY, *_EMPTY_TOO):
        if name not in image:
            setattr(image, name, "")
    if not image.get("FrameOfReferenceUID"):
        image.FrameOfReferenceUID = image.SeriesInstanceUID
    if not image.get("SliceThickness"):
        image.SliceThickness = None
    if orientation is not None:
        image.ImageOrientationPatient = list(orientation)
