"""Reading DICOM: a folder of files, or one file, becomes a Volume in Hounsfield units.

pydicom reads the headers, SimpleITK (GDCM) decodes the pixels.
"""

import os
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from weakmask.errors import UserError, refuse_machine_fault
from weakmask.memory import is_out_of_memory
from weakmask.volume.slice_stack import Slice, stack_geometry
from weakmask.volume.volume import Volume

_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_NOT_SCANS = {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "PR", "SR", "KO", "REG", "DOC"}


@dataclass(frozen=True)
class Series:
    """The images of one series that have one matrix and one orientation, sorted along the slice normal.

    Attributes:
        uid: SeriesInstanceUID.
        description: SeriesDescription; may be empty.
        modality: CT, MR, CR, DX ...
        localizer: Whether it is a scout view.
        frames: Frames per file; more than one in enhanced DICOM, which cannot be read.
        slices: At least one.
    """

    uid: str
    description: str
    modality: str
    localizer: bool
    frames: int
    slices: tuple[Slice, ...]

    def __str__(self) -> str:
        """One line that describes the series."""
        rows, columns = self.slices[0].shape
        name = self.description or "no description"
        return f"{self.uid} ({self.modality} {name!r}, {len(self.slices)} slices of {rows} x {columns})"


def is_dicom(path: Path) -> bool:
    """Whether a file has the DICOM mark at byte 128."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def holds_series(folder: Path) -> bool:
    """Whether DICOM files lie directly in a folder, whatever their names: by the mark in them, or named .dcm."""
    files = (path for path in folder.iterdir() if path.is_file() and _may_be_image(path.name))
    return any(path.suffix.lower() == ".dcm" or is_dicom(path) for path in files)


def find_series(folder: str | Path) -> list[Series]:
    """All grey-value image series in a folder and the folders in it, the longest first.

    Other files, DICOMDIR, hidden files, reports and colour pictures are ignored; of two files with the same
    SOPInstanceUID one is used.

    Raises:
        UserError: There is no such folder, or a file named .dcm is not readable as DICOM.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder that holds the DICOM files")
    groups: dict[str, list[_Image]] = defaultdict(list)
    seen: set[str] = set()
    for path in _files(folder):
        image = _image(path)
        if image is not None and image.image_uid not in seen:
            seen.add(image.image_uid)
            groups[image.series_uid].append(image)
    series = [_series(part) for group in groups.values() for part in _alike(group)]
    return sorted(series, key=lambda one: (-len(one.slices), one.uid))


def read_dicom(folder: str | Path, series_uid: str | None = None) -> Volume:
    """Read the one series of a folder, slope and intercept applied slice by slice (CT: Hounsfield units).

    Localizers are ignored, and so are series of fewer than 3 slices beside a longer one.

    Args:
        folder: May hold other files and other folders, see `find_series`.
        series_uid: UID of the series to read, if there are several.

    Returns:
        int16 if the values are whole numbers and fit, else int32 or float32. Index z grows along row direction x
        column direction; in an axial scan that is toward the head.

    Raises:
        UserError: No series or several, slices missing or double, differing spacings or orientations, gantry tilt, or
            a file that cannot be decoded.
    """
    series = _chosen(Path(folder), series_uid)
    _refuse_frames(series.slices[0].path, series.frames)
    geometry = stack_geometry(series.slices, f"{folder}, series {series.description or series.uid}")
    return Volume(_decoded(series.slices), geometry)


def read_dicom_file(path: str | Path) -> Volume:
    """Read a single DICOM image, such as an X-ray, as a volume of one slice; a missing spacing becomes 1 mm.

    Raises:
        UserError: The file is not a grey-value DICOM image of one frame, or cannot be decoded.
    """
    path = Path(path)
    image = _image(path)
    if image is None:
        raise UserError(f"{path}: not a grey-value DICOM image; give a CT, MR or X-ray image")
    _refuse_frames(path, image.frames)
    return Volume(_decoded((image.slice,)), stack_geometry((image.slice,), str(path)))


def _refuse_frames(path: Path, frames: int) -> None:
    if frames > 1:
        raise UserError(f"{path}: {frames} frames in one file (enhanced DICOM); export one per file, or NIfTI")


def _files(folder: Path) -> Iterator[Path]:
    """Every possible image file, in a fixed order."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if _may_be_image(name):
                yield Path(place) / name


def _may_be_image(name: str) -> bool:
    return not name.startswith(".") and name.upper() != "DICOMDIR"


@dataclass(frozen=True)
class _Image:
    """One file's slice and the series of the file."""

    series_uid: str
    image_uid: str
    description: str
    modality: str
    localizer: bool
    frames: int
    slice: Slice


def _image(path: Path) -> _Image | None:
    """Header of a grey-value image; None for any other file."""
    named = path.suffix.lower() == ".dcm"
    try:
        if not named and not is_dicom(path):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # non-standard headers are common and mostly harmless
            header = pydicom.dcmread(path, stop_before_pixels=True, force=named)  # old files lack the mark
            known = "SOPClassUID" in header
            grey = "Rows" in header and "Columns" in header and int(header.get("SamplesPerPixel", 1)) == 1
            image = _read_image(header, path) if grey else None
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged header makes pydicom raise nearly anything
        raise UserError(f"{path}: its DICOM header is damaged; copy or export it again, or remove it") from error
    if named and not known:
        raise UserError(f"{path}: not a DICOM file; copy or export it again, correct its name, or remove it")
    if image is None or image.modality in _NOT_SCANS:
        return None
    return image


def _read_image(header: pydicom.Dataset, path: Path) -> _Image:
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing") or (1.0, 1.0)
    position = header.get("ImagePositionPatient") or None
    thickness = float(header.get("SliceThickness") or 0)
    row_x, row_y, row_z, column_x, column_y, column_z = header.get("ImageOrientationPatient") or _AXIAL
    kind = header.get("ImageType") or []
    return _Image(
        series_uid=str(header.get("SeriesInstanceUID", "")),
        image_uid=str(header.get("SOPInstanceUID", path)),
        description=str(header.get("SeriesDescription", "") or "").strip(),
        modality=str(header.get("Modality", "") or "?"),
        localizer="LOCALIZER" in ([kind] if isinstance(kind, str) else list(kind)),
        frames=int(header.get("NumberOfFrames", None) or 1),
        slice=Slice(
            path=path,
            shape=(int(header.Rows), int(header.Columns)),
            spacing_mm=(float(spacing[0]), float(spacing[1])),
            thickness_mm=thickness if thickness > 0 else None,
            position=(float(position[0]), float(position[1]), float(position[2])) if position else None,
            orientation=(float(row_x), float(row_y), float(row_z), float(column_x), float(column_y), float(column_z)),
            number=int(header.get("InstanceNumber") or 0),
        ),
    )


def _alike(images: list[_Image]) -> list[list[_Image]]:
    """Split a series by matrix, orientation (up to rounding) and whether the images are localizers."""
    parts: list[list[_Image]] = []
    for image in images:
        for part in parts:
            first = part[0]
            turned = np.abs(np.subtract(image.slice.orientation, first.slice.orientation)).max()
            same_matrix = (image.slice.shape, image.frames) == (first.slice.shape, first.frames)
            if same_matrix and turned < 1e-3 and image.localizer == first.localizer:
                part.append(image)
                break
        else:
            parts.append([image])
    return parts


def _series(images: list[_Image]) -> Series:
    first = images[0]
    # one orientation for all, so that rounding in the headers cannot change the order
    slices = [replace(image.slice, orientation=first.slice.orientation) for image in images]
    return Series(
        uid=first.series_uid,
        description=first.description,
        modality=first.modality,
        localizer=first.localizer,
        frames=first.frames,
        slices=tuple(sorted(slices, key=lambda one: (one.height_mm, one.number))),
    )


def _chosen(folder: Path, series_uid: str | None) -> Series:
    """The requested series, or the only one."""
    found = find_series(folder)
    if series_uid is not None:
        real = [one for one in found if one.uid == series_uid]
        if not real:
            held = "; ".join(map(str, found)) or "none"
            raise UserError(f"{folder}: no series {series_uid}; the folder holds: {held}")
    else:
        real = [one for one in found if not one.localizer]
        if not real:
            reason = "only localizers" if found else "no DICOM images"
            raise UserError(f"{folder}: {reason} in this folder; give the folder of a scan's DICOM files")
    if len(real[0].slices) >= 3:  # the longest comes first
        real = [one for one in real if len(one.slices) >= 3]
    if len(real) == 1:
        return real[0]
    listed = "; ".join(map(str, real))
    if len({one.uid for one in real}) == 1:
        raise UserError(f"{folder}: slices of different orientation or matrix in one series ({listed}); separate them")
    raise UserError(f"{folder}: {len(real)} series; expected one; give a sub-folder or the UID of one of: {listed}")


def _decoded(slices: tuple[Slice, ...]) -> np.ndarray:
    """Pixels (z, y, x) with slope and intercept applied; GDCM also inverts MONOCHROME1.

    Files are read one by one: ITK's series reader would convert every slice to the type of the first and clip values.
    """
    sitk.ProcessObject.GlobalWarningDisplayOff()
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    voxels = np.empty((len(slices), *slices[0].shape), np.int16)
    for index, one in enumerate(slices):
        reader.SetFileName(str(one.path))
        try:
            image = reader.Execute()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise UserError(f"{one.path}: its pixels cannot be decoded; copy or export it again") from error
        pixels = sitk.GetArrayViewFromImage(image)
        if pixels.size != voxels[index].size:
            raise UserError(f"{one.path}: {pixels.shape} pixels; its header promises {one.shape}; export it again")
        voxels = _wide_enough(voxels, pixels)
        voxels[index] = pixels.reshape(one.shape)
    return voxels


def _wide_enough(voxels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Convert the voxels to a type that also holds these pixels: int16, else int32, else float32."""
    if pixels.dtype.kind == "f":
        return voxels.astype(np.float32, copy=False)
    if voxels.dtype == np.int16 and (pixels.min() < -(2**15) or pixels.max() >= 2**15):
        return voxels.astype(np.int32)
    return voxels
