"""Reading and writing image files; every format is converted to the order (z, y, x).

`nifti.py` reads NIfTI, `dicom.py` DICOM, `pictures.py` PNG and JPEG, `stack_files.py` the stacks of electron
microscopy, and SimpleITK MetaImage and NRRD after the checks of `file_faults.py`. Label maps may also be segmentations
that name their structures: `slicer_segmentation.py`, `dicom_segmentation.py`, or a folder with a mask per structure.
"""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from weakmask.atomic_write import atomic_file
from weakmask.errors import MachineError, UserError, refuse_machine_fault
from weakmask.volume.dicom import read_dicom, read_dicom_file
from weakmask.volume.dicom_header import SUFFIXES as DICOM_SUFFIXES
from weakmask.volume.dicom_header import is_dicom, is_segmentation
from weakmask.volume.dicom_segmentation import read_segmentation
from weakmask.volume.file_faults import refuse_faulty_file
from weakmask.volume.intensity import nonfinite_count
from weakmask.volume.itk import ITK_FORMATS, from_itk, geometry_of, read_by_itk, to_itk, write_by_itk
from weakmask.volume.nifti import read_nifti
from weakmask.volume.nifti_writing import write_nifti
from weakmask.volume.payload import LARGE, LARGE_LABELS
from weakmask.volume.pictures import is_picture, png_pixels, read_picture
from weakmask.volume.slicer_segmentation import read_slicer_segmentation, segments_of
from weakmask.volume.stack import NM_PER_MM
from weakmask.volume.stack_files import SUFFIXES as STACKS
from weakmask.volume.stack_files import WRITTEN as WRITTEN_STACKS
from weakmask.volume.stack_files import is_stack, open_stack, write_stack
from weakmask.volume.structures import LabelOf, listed, merged, numbers_of
from weakmask.volume.volume import Kind, Volume, as_image, as_label

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".png", ".jpg", ".jpeg", ".dcm", *STACKS)
_ENDINGS = (".seg.nrrd", ".seg.nhdr", *IMAGE_SUFFIXES, *DICOM_SUFFIXES)  # of a file's name, left out of a scan's
_WRITTEN = (".nii.gz", ".nii", ".mha", ".nrrd", ".png", *WRITTEN_STACKS)


def read_volume(
    path: str | Path,
    kind: Kind = "image",
    *,
    series: str | None = None,
    label_of: LabelOf | None = None,
    spacing_nm: Sequence[float] | None = None,
) -> Volume:
    """Read a scan, a picture or a label map.

    A folder is read as a DICOM series, unless it is Zarr or holds the sections of a stack. A file's suffix gives its
    format (`IMAGE_SUFFIXES`, any case); a file of any other name is read if its content is DICOM. A picture becomes a
    volume of one slice with a spacing of 1 mm, whatever resolution it states. Colour becomes grey (ITU-R BT.601),
    transparency is ignored.

    Args:
        path: A file, or a folder of DICOM files; a label map may also be a DICOM SEG, and a folder with one mask for
            each structure, named after it.
        kind: "label" for region and lesion masks: they keep their integer type, and whole numbers saved as floats
            become integers.
        series: UID, number or description of the DICOM series, for a folder with several; or of enhanced DICOM the
            name of a stack or a time.
        label_of: Name of a structure -> its number, for label maps that name their structures; None leaves a structure
            out. Without it, they keep the numbers in the file; those of a folder are numbered by name.
        spacing_nm: Voxel size of a stack along z, y and x in nm, instead of its own. A stack without either has one of
            1 mm, as a picture has.

    Returns:
        The voxels in the type of the file (float64 images as float32), including NaN and infinity: see
        `refuse_nonfinite`.

    Raises:
        UserError: The file is missing, of an unknown format, truncated or damaged, not one grey volume, or its
            header states an impossible grid.
    """
    path = Path(path)
    try:
        if is_stack(path):
            return open_stack(path, kind).volume(kind, spacing_nm)
        volume = _read_labels(path, label_of) if kind == "label" else _read(path, kind, series)
        return as_image(volume) if kind == "image" else as_label(volume)
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; save the labels, not a map") from error


def _read_labels(path: Path, label_of: LabelOf | None) -> Volume:
    """A label map in any form."""
    if path.is_dir():
        return _read_structures(path, label_of)
    if _suffix(path) in (".nrrd", ".nhdr") and path.is_file():
        segments = segments_of(path)
        if segments:
            return read_slicer_segmentation(path, segments, label_of)
    if is_segmentation(path):
        return read_segmentation(path, label_of)
    return _read(path, "label")


def _read_structures(folder: Path, label_of: LabelOf | None) -> Volume:
    """The label map of a folder: a mask per structure, or one file.

    Raises:
        UserError: No masks, none with a known name, masks on different grids, or structures that overlap.
    """
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and _is_mask(path)]
    if len(files) == 1 and (label_of is None or label_of(scan_name(files[0])) is None):
        return _read_labels(files[0], label_of)
    names = [scan_name(file) for file in files]
    numbers = numbers_of(names, label_of, folder) if label_of else list(range(1, len(files) + 1))
    if not files or numbers is None:
        held = f"its structures are {listed(names)}" if files else "it holds none"
        raise UserError(
            f"{folder}: a folder of masks needs one for each region or kind of lesion, named after it; {held}; rename "
            f"them, or save the labels as one of {', '.join(_WRITTEN)}"
        )
    chosen = [(file, number) for file, number in zip(files, numbers, strict=True) if number is not None]
    first = as_label(_read(chosen[0][0], "label"))

    def masks() -> Iterator[tuple[str, int, np.ndarray]]:
        for file, number in chosen:
            mask = first if file == chosen[0][0] else as_label(_read(file, "label"))
            if not mask.geometry.same_grid(first.geometry):
                raise UserError(f"{file}: its grid is not that of {chosen[0][0].name}; expected one grid in a folder")
            yield scan_name(file), number, mask.voxels

    return Volume(merged(masks(), folder), first.geometry, "label")


def _is_mask(path: Path) -> bool:
    return path.is_file() and (_suffix(path) not in ("", ".dcm", ".jpg", ".jpeg") or is_segmentation(path))


def _read(path: Path, kind: Kind, series: str | None = None) -> Volume:
    if is_stack(path):
        return open_stack(path, kind).volume(kind)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        return read_dicom(path, series)
    if not path.is_file():
        raise UserError(f"{path}: a pipe or a device; expected a file or a folder")
    suffix = _suffix(path)
    if suffix in (".nii", ".nii.gz"):
        return Volume(*read_nifti(path, kind))
    if is_picture(path):
        return read_picture(path, suffix, kind)
    if suffix in ITK_FORMATS:
        return _read_by_itk(path, suffix, kind)
    if is_segmentation(path):
        raise UserError(f"{path}: a DICOM segmentation, not an image; give the image, or use this file as a mask")
    if suffix == ".dcm" or is_dicom(path):
        return read_dicom_file(path, series)
    raise UserError(f"{path}: unknown format; expected one of {', '.join(IMAGE_SUFFIXES)} or a DICOM folder")


def _read_by_itk(path: Path, suffix: str, kind: Kind) -> Volume:
    refuse_faulty_file(path, suffix, LARGE_LABELS if kind == "label" else LARGE)
    image = read_by_itk(path, suffix)
    try:
        geometry_of(image)
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct the header or export one rectangular grey volume") from error
    return Volume(*from_itk(image, kind))


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
    """Write a volume as .nii, .nii.gz, .mha, .nrrd, a single slice as .png, or a stack as .tif, .h5 or .zarr.

    It is written complete or not at all. bool becomes uint8: 0 and 1, but 0 and 255 in a .png, so that it is visible. A
    .png holds whole numbers from 0 to 65535 without change. A stack keeps the spacing, but no place in the world.

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
    if suffix in WRITTEN_STACKS:
        spacing_nm = [round(step * NM_PER_MM, 9) for step in volume.geometry.spacing_mm]
        write_stack(voxels, path, spacing_nm, voxels.dtype)
        return
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


def names_structures(path: Path) -> bool:
    """Whether a file is a segmentation that names its structures: of 3D Slicer, or DICOM SEG."""
    if not path.is_file():
        return False
    return bool(segments_of(path)) if _suffix(path) in (".nrrd", ".nhdr") else is_segmentation(path)


def masks_named(folder: Path, name: str) -> list[Path]:
    """The files and folders in a folder of masks that have the name of a scan, in whatever form of Unicode."""
    paths = [folder / f"{name}{ending}" for ending in dict.fromkeys((".nii.gz", *_ENDINGS, ""))]
    found = [path for path in paths if path.exists()]
    if found or name.isascii() or not folder.is_dir():
        return found
    return [path for path in sorted(folder.iterdir()) if scan_name(path) == name]


def scan_name(path: str | Path) -> str:
    """The name of a scan: of its file without the (double) suffix, or of its folder; a link has a name of its own.

    Names are compared in one form of Unicode (NFC); macOS writes file names in another.
    """
    path = Path(path)
    if path.is_dir():
        name = Path(os.path.abspath(path)).name.removesuffix(".zarr")  # noqa: PTH100 - `resolve` follows links
        return unicodedata.normalize("NFC", name)
    name = path.name.lower()
    ending = next((ending for ending in _ENDINGS if name.endswith(ending) and len(name) > len(ending)), "")
    return unicodedata.normalize("NFC", path.name[: len(path.name) - len(ending)])


def _suffix(path: Path) -> str:
    """The suffix of a known format, in lower case; "" for any other."""
    name = path.name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), "")
