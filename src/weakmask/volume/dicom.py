"""Reading DICOM: a folder of files, or one file, becomes a Volume in Hounsfield units.

A file holds one slice, or many frames (enhanced DICOM). pydicom reads the headers, SimpleITK (GDCM) decodes the pixels.
"""

from pathlib import Path

from weakmask.errors import UserError
from weakmask.progress import note
from weakmask.volume.dicom_header import is_dicom, read_headers
from weakmask.volume.dicom_pixels import decoded
from weakmask.volume.dicom_series import Series, choose_series, find_series, series_of
from weakmask.volume.gantry_tilt import tilted_stack
from weakmask.volume.mixed_acquisitions import mixed_acquisitions
from weakmask.volume.slice_stack import Slice, stack_geometry
from weakmask.volume.volume import Volume


def read_dicom(folder: str | Path, series: str | None = None) -> Volume:
    """Read the one series of a folder, slope and intercept applied slice by slice (CT: Hounsfield units).

    Slices that lean because the gantry was tilted are moved to a rectangular grid, and a note says so. Localizers are
    ignored, and so are series of fewer than 3 slices beside a longer one; a note counts the latter.

    Args:
        folder: May hold other files and other folders, see `find_series`.
        series: UID, number or description of the series to read, if there are several; or of enhanced DICOM the name
            of a stack or a time, `stack 2` or `time 3`.

    Returns:
        int16 if the values are whole numbers and fit, else int32 or float32. Index z grows along row direction x
        column direction; in an axial scan that is toward the head.

    Raises:
        UserError: No series or several, slices missing or double, two acquisitions in one series, positions or spacings
            that are missing or differ, or a file that cannot be decoded.
    """
    folder = Path(folder)
    chosen = choose_series(find_series(folder), series, folder)
    return _volume(chosen, f"{folder}, series {chosen.description or chosen.uid or 'without UID'}")


def read_dicom_file(path: str | Path, series: str | None = None) -> Volume:
    """Read a single DICOM file: an image such as an X-ray as a volume of one slice, or the frames of enhanced DICOM.

    Where an X-ray states no size of a pixel in the patient, the size at the detector serves, or else 1 mm; a note says
    so.

    Args:
        path: The file.
        series: Name of the stack or the time to read, if the frames are several: `stack 2`, `time 3`.

    Raises:
        UserError: The file is not a grey-value DICOM image, its frames are no regular stack or several, or it cannot be
            decoded; or a CT slice without a PixelSpacing.
    """
    path = Path(path)
    found = _series_in(path, series)
    if found is None:
        raise UserError(f"{path}: not a grey-value DICOM image; give a CT, MR or X-ray image")
    return _volume(found, str(path))


def _series_in(path: Path, series: str | None) -> Series | None:
    """The one image of a file, or the stack of its frames; None for a file that is no image."""
    headers = read_headers(path)
    if len(headers) > 1:
        return choose_series(series_of(headers), series, path)
    return series_of(headers)[0] if headers else None


def _volume(chosen: Series, where: str) -> Volume:
    """The voxels of a series, after all checks.

    Args:
        chosen: The series.
        where: Folder and series, or the file, for messages.
    """
    _refuse_frames(chosen.slices[0].path, chosen.frames)
    tilted = tilted_stack(chosen.slices, where)
    geometry = stack_geometry(chosen.slices, where) if tilted is None else tilted.geometry
    mixed = mixed_acquisitions(chosen.slices)
    if mixed and chosen.modality == "MR":  # concatenations of one MR scan alternate, too
        note(f"{where}: {mixed}; they are read as one scan")
    elif mixed:
        raise UserError(f"{where}: {mixed}; keep the files of one acquisition in the folder")
    _note_spacing(chosen.slices, where)
    if tilted is not None:
        note(f"{where}: the gantry was tilted by {tilted.degrees:.1f} degrees; slices are moved to a rectangular grid")
        return tilted.upright(decoded(chosen.slices))
    return Volume(decoded(chosen.slices), geometry)


def find_dicom(path: Path, series: str | None = None) -> Series | None:
    """The series that a scan was read from; None for a scan that is not DICOM.

    Args:
        path: A file or a folder that was read.
        series: UID, number or description, for a folder with several; `stack 2` or `time 3` of enhanced DICOM.

    Raises:
        UserError: As `read_dicom`.
    """
    if path.is_dir():
        found = find_series(path)
        return choose_series(found, series, path) if found else None
    return _series_in(path, series) if is_dicom(path) else None


def dicom_ids(path: Path, series: str | None = None) -> dict[str, str]:
    """PatientID, UIDs of study and series, and series number of a DICOM scan; empty for any other scan.

    Args:
        path: A file or a folder that was read.
        series: As for `find_dicom`.
    """
    found = find_dicom(path, series)
    if found is None:
        return {}
    return {
        "patient_id": found.patient,
        "study_uid": found.study,
        "series_uid": found.uid,
        "series_number": found.number,
    }


def _refuse_frames(path: Path, frames: int) -> None:
    if frames > 1:
        raise UserError(
            f"{path}: {frames} frames in one file that states no place of each; export one per file, or NIfTI"
        )


def _note_spacing(slices: tuple[Slice, ...], where: str) -> None:
    """Note a size of voxels that the header does not state."""
    first = slices[0]
    if first.spacing_from == "1 mm":
        note(f"{where}: no PixelSpacing; pixels of 1 x 1 mm are assumed, so lengths and volumes are not in mm")
    elif first.spacing_from:
        row, column = first.spacing_mm or (0.0, 0.0)
        note(f"{where}: no PixelSpacing; {first.spacing_from} serves, {row:g} x {column:g} mm at the detector")
    if len(slices) == 1 and first.in_patient and first.thickness_mm is None:
        note(f"{where}: one slice without SliceThickness; 1 mm is assumed")
    if len(slices) == 1 and first.in_patient and first.orientation is None:
        note(f"{where}: no ImageOrientationPatient; an axial slice is assumed")
