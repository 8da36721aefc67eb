"""The DICOM images that a result belongs to."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, Sequence

from weakmask.errors import UserError
from weakmask.volume.dicom import find_dicom
from weakmask.volume.dicom_file import read_dataset
from weakmask.volume.gantry_tilt import TiltedStack, tilted_stack
from weakmask.volume.geometry import Geometry
from weakmask.volume.slice_stack import Slice, stack_geometry
from weakmask.volume.storage_order import in_order_of
from weakmask.volume.volume import Volume

# attributes that a written object copies from its source, and that anonymised files may lack
_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber")
_REFERRED = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_EMPTY_TOO = ("StudyDate", "StudyTime", "ReferringPhysicianName")


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The images of one series, in the order of the slices of its volume, or one enhanced image of many frames.

    Attributes:
        path: Their folder or file, for messages.
        images: Their headers; that of an enhanced image has the frames of the slices alone, in their order.
        geometry: Of the volume that they make.
        tilted: The leaning stack that they are; None if they do not lean.
        frames: Index in its file of the frame of each slice, in an enhanced image; empty for images of a slice each.
    """

    path: Path
    images: tuple[Dataset, ...]
    geometry: Geometry
    tilted: TiltedStack | None = None
    frames: tuple[int, ...] = ()

    @property
    def uid(self) -> str:
        """SeriesInstanceUID."""
        return str(self.images[0].SeriesInstanceUID)

    def frames_of(self, mask: Volume, what: str) -> np.ndarray:
        """The labels of a mask at the pixels of the images, (image or frame, row, column).

        Args:
            mask: A mask on the grid of the series, its voxels in any order.
            what: Its name or file, for the message.

        Raises:
            UserError: It lies on another grid.
        """
        voxels = self.on_grid(mask, what).voxels
        return voxels if self.tilted is None else self.tilted.leaning(voxels)

    def number_frames(self, made: Dataset) -> None:
        """Let the frames of a segmentation refer to the frames of the enhanced image by their numbers in its file.

        Args:
            made: A segmentation of `images`, whose frames are those of the slices.
        """
        if not self.frames:
            return
        groups = [group for frame in made.PerFrameFunctionalGroupsSequence for group in frame.DerivationImageSequence]
        items = {id(item): item for group in groups for item in group.SourceImageSequence}  # segments may share them
        for item in items.values():
            item.ReferencedFrameNumber = self.frames[int(item.ReferencedFrameNumber) - 1] + 1

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
    frames = tuple(one.frame.index for one in found.slices if one.frame is not None)
    if found.frames > 1 or (frames and len(found.files) > 1):
        raise UserError(f"{path}: frames in several files, or without a place of each, cannot be referred to")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of non-standard headers
        images = tuple(read_dataset(file, pixels=False, force=True) for file in found.files)
    for one in found.slices:
        lost = ["ImagePositionPatient"] * (one.position is None) + ["ImageOrientationPatient"] * (
            one.orientation is None
        )
        _refuse_absent(one.path, lost)
    for image, file in zip(images, found.files, strict=True):
        _refuse_absent(file, [name for name in _REFERRED if not image.get(name)])
        _complete(image)
        if frames:
            _take_frames(image, frames, found.slices[0])
        elif found.slices[0].orientation is not None:  # one for all slices, as the volume has it
            image.ImageOrientationPatient = list(found.slices[0].orientation)
    tilted = tilted_stack(found.slices, str(path))
    geometry = stack_geometry(found.slices, str(path)) if tilted is None else tilted.geometry
    return SourceSeries(path, images, geometry, tilted, frames)


def _refuse_absent(file: Path, absent: list[str]) -> None:
    if absent:
        raise UserError(f"{file}: has no {absent[0]}, which DICOM objects refer to; export the scan again")


def _complete(image: Dataset) -> None:
    """Add empty values that objects copy."""
    for name in (*_EMPTY, *_EMPTY_TOO):
        if name not in image:
            setattr(image, name, "")
    if not image.get("FrameOfReferenceUID"):
        image.FrameOfReferenceUID = image.SeriesInstanceUID
    if not image.get("SliceThickness"):
        image.SliceThickness = None


def _take_frames(image: Dataset, frames: tuple[int, ...], one: Slice) -> None:
    """Keep some frames of an enhanced image, and state their orientation and pixel size once, as objects need it.

    Args:
        image: Its header.
        frames: Their indices, in the order of the slices.
        one: The first slice.
    """
    held = list(image.get("PerFrameFunctionalGroupsSequence") or [Dataset()])
    image.PerFrameFunctionalGroupsSequence = Sequence([held[frame] for frame in frames])
    image.NumberOfFrames = len(frames)
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(one.directions)
    measures.PixelSpacing, measures.SliceThickness = list(one.spacing_mm or ()), one.thickness_mm
    shared = (list(image.get("SharedFunctionalGroupsSequence") or []) or [Dataset()])[0]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    image.SharedFunctionalGroupsSequence = Sequence([shared])
