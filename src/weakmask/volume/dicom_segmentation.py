"""DICOM segmentations (SEG), whose segments have names, read by highdicom as label maps."""

import warnings
from pathlib import Path

import numpy as np
import pydicom

from weakmask.errors import MachineError, UserError, refuse_machine_fault
from weakmask.progress import note
from weakmask.volume.dicom_file import read_dataset
from weakmask.volume.geometry import Geometry
from weakmask.volume.payload import LARGE, refuse_bomb
from weakmask.volume.structures import LabelOf, listed, merged, numbers_of
from weakmask.volume.volume import Volume


def read_segmentation(path: Path, label_of: LabelOf | None = None) -> Volume:
    """Read a DICOM segmentation of one volume: bits, label map or fractions (from 0.5 up).

    Slices without any segment are usually left out of the file, so that its grid may be a part of the image's.

    Args:
        path: The file.
        label_of: Name of a segment -> its number; where it knows none, and without it, segments keep their numbers.

    Raises:
        UserError: The file is damaged, its frames are no regular volume, or its segments overlap.
    """
    import highdicom  # noqa: PLC0415 (only segmentations need it)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of incomplete headers
            dataset = read_dataset(path)
            _refuse_promises(dataset, path)
            held = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
            return _label_map(held, path, label_of)
    except (UserError, MachineError, MemoryError):
        raise
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    except Exception as error:
        raise UserError(
            f"{path}: a DICOM segmentation that cannot be read ({_first_line(error)}); save it as .nii.gz or .seg.nrrd"
        ) from error


def _refuse_promises(dataset: pydicom.Dataset, path: Path) -> None:
    """Refuse a header that promises more pixels than the file holds."""
    bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.NumberOfFrames) * int(dataset.BitsAllocated)
    held = path.stat().st_size
    if not dataset.file_meta.TransferSyntaxUID.is_compressed and bits // 8 > held:
        raise UserError(
            f"{path}: its header promises {bits // 8} bytes of pixels, the file holds {held}; copy it again"
        )
    refuse_bomb(path, bits // 8, held)


def _label_map(held, path: Path, label_of: LabelOf | None) -> Volume:  # noqa: ANN001 (highdicom is imported late)
    stored = [int(number) for number in held.segment_numbers]
    stored = [number for number in stored if number > 0]
    names = {number: str(held.get_segment_description(number).segment_label) for number in stored}
    grid = held.get_volume_geometry()
    if grid is None:
        raise UserError(f"{path}: a DICOM segmentation whose frames are no regular volume; save it as .nii.gz")
    if int(np.prod(grid.spatial_shape, dtype=object)) > LARGE:
        raise UserError(f"{path}: its frames lie {grid.spatial_shape[0]} slices apart; save it as .nii.gz")
    numbers = numbers_of([names[number] for number in stored], label_of, path)
    if numbers is None:
        numbers = list(stored)
        if label_of is not None:
            note(f"{path}: its segments ({listed(list(names.values()))}) have no known name; their numbers count")
    read = [(names[one], number, one) for one, number in zip(stored, numbers, strict=True) if number is not None]
    parts = (
        (name, number, held.get_volume(segment_numbers=[one], combine_segments=False).array[..., 0] >= _threshold(held))
        for name, number, one in read
    )
    return Volume(merged(parts, path), _geometry(grid), "label")


def _threshold(held) -> float:  # noqa: ANN001 (highdicom is imported late)
    return 0.5 if held.SegmentationType == "FRACTIONAL" else 1


def _geometry(grid) -> Geometry:  # noqa: ANN001 (highdicom is imported late)
    """The grid of highdicom, whose array is (slice, row, column) in the world (x, y, z)."""
    affine = np.asarray(grid.affine, dtype=float)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return Geometry.from_xyz(
        [int(n) for n in grid.spatial_shape[::-1]],
        spacing[::-1].tolist(),
        affine[:3, 3].tolist(),
        (affine[:3, :3] / spacing)[:, ::-1],
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
