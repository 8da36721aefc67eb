"""Reading and writing image files; every format is converted to the order (z, y, x).

`nifti.py` reads NIfTI, `dicom.py` DICOM, `pictures.py` PNG and JPEG, and SimpleITK MetaImage and NRRD after the checks
of `file_faults.py`.
"""

import os
from pathlib import Path

import numpy as np

from weakmask.atomic_write import atomic_file
from weakmask.errors import MachineError, UserError, refuse_machine_fault
from weakmask.volume.dicom import is_dicom, read_dicom, read_dicom_file
from weakmask.volume.file_faults import refuse_faulty_file
from weakmask.volume.intensity import nonfinite_count
from weakmask.volume.itk import ITK_FORMATS, from_itk, read_by_itk, to_itk, write_by_itk
from weakmask.volume.nifti import read_nifti, write_nifti
from weakmask.volume.pictures import is_picture, png_pixels, read_picture
from weakmask.volume.volume import Kind, Volume, as_image, as_label

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".png", ".jpg", ".jpeg", ".dcm")
_WRITTEN = (".nii.gz", ".nii", ".mha", ".nrrd", ".png")


def read_volume(path: str | Path, kind: Kind = "image") -> Volume:
    """Read a scan, a picture or a label map.

    A folder is read as a DICOM series. A file's suffix gives its format (`IMAGE_SUFFIXES`, any case); a file without
    a suffix is read if it is DICOM. A picture becomes a volume of one slice with a spacing of 1 mm, whatever
    resolution it states. Colour becomes grey (ITU-R BT.601), transparency is ignored.

    Args:
        path: A file, or a folder of DICOM files.
        kind: "label" for region and lesion masks: they keep their integer type, and whole numbers saved as floats
            become integers.

    Returns:
        The voxels in the type of the file (float64 images as float32), including NaN and infinity: see
        `refuse_nonfinite`.

    Raises:
        UserError: The file is missing, of an unknown format, truncated or damaged, not one grey volume, or its
            header states an impossible grid.
    """
    path = Path(path)
    try:
        volume = _read(path, kind)
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    if kind == "image":
        return as_image(volume)
    try:
        return as_label(volume)
    except ValueError as error:
        raise UserError(f"{path}: {error}; save the labels, not a map") from error


def _read(path: Path, kind: Kind) -> Volume:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        if kind == "label":
            raise UserError(f"{path}: a folder cannot be a label map; save the labels as one of {', '.join(_WRITTEN)}")
        return read_dicom(path)
    suffix = _suffix(path)
    if suffix in (".nii", ".nii.gz"):
        return Volume(*read_nifti(path))
    if is_picture(path):
        return read_picture(path, suffix, kind)
    if suffix in ITK_FORMATS:
        return _read_by_itk(path, suffix)
    if suffix == ".dcm" or is_dicom(path):
        return read_dicom_file(path)
    raise UserError(f"{path}: unknown format; expected one of {', '.join(IMAGE_SUFFIXES)} or a DICOM folder")


def _read_by_itk(path: Path, suffix: str) -> Volume:
    refuse_faulty_file(path, suffix)
    try:
        return Volume(*from_itk(read_by_itk(path, suffix)))
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct the header or export one rectangular grey volume") from error


def refuse_nonfinite(volume: Volume, path: str | Path) -> None:
    """Refuse a scan with voxels that are NaN or infinite.

    Raises:
        UserError: Some voxel is NaN or infinite.
    """
    count = nonfinite_count(volume.voxels)
    if count:
        raise UserError(
            f"{path}: {count} of {volume.voxels.size} voxels are NaN or infinite; expected numbers everywhere; "
            "fill them (in CT with -1024 HU) and save the scan again"
        )


def write_volume(volume: Volume, path: str | Path) -> None:
    """Write a volume as .nii, .nii.gz, .mha, .nrrd, or a single slice as .png; complete or not at all.

    bool becomes uint8: 0 and 1, but 0 and 255 in a .png, so that it is visible. A .png holds whole numbers from 0 to
    65535 without change.

    Raises:
        UserError: The suffix is not supported, or a .png cannot hold the voxels.
        MachineError: The path cannot be written.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.name.endswith(_WRITTEN):  # lower case only: ITK would write the voxels of a .MHA to another file
        raise UserError(f"{path}: cannot write this format; choose one of {', '.join(_WRITTEN)}")
    voxels = png_pixels(volume, path) if suffix == ".png" else volume.voxels
    known = {"bool": np.uint8, "float16": np.float32}.get(voxels.dtype.name, voxels.dtype.newbyteorder("="))
    voxels = voxels.astype(known, copy=False)
    with atomic_file(path) as temporary:
        if suffix in (".nii", ".nii.gz"):
            write_nifti(voxels, volume.geometry, temporary)
        else:
            _write_by_itk(voxels, volume, temporary, suffix)


def _write_by_itk(voxels: np.ndarray, volume: Volume, path: Path, suffix: str) -> None:
    """Write by ITK, and check what it wrote: on a full disk it may report success."""
    try:
        write_by_itk(to_itk(voxels, volume.geometry), path, suffix)
        refuse_faulty_file(path, suffix)
    except (RuntimeError, UserError) as error:
        folder = path.parent
        raise MachineError(
            f"cannot write to {folder}; choose a folder that you may write to and that has space"
        ) from error


def scan_name(path: str | Path) -> str:
    """The name of a scan: of its file without the (double) suffix, or of its folder; a link has a name of its own."""
    path = Path(path)
    if path.is_dir():
        return Path(os.path.abspath(path)).name  # noqa: PTH100 - `resolve` would follow links
    return path.name[: len(path.name) - len(_suffix(path))]


def _suffix(path: Path) -> str:
    """The suffix of a known format, in lower case; "" for any other."""
    name = path.name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), "")
