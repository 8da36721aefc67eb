"""Strict reading of NIfTI files (.nii, .nii.gz).

ITK is not used because it hides faults: it turns a zero spacing into 1 mm, fills the rest of a truncated file with
uninitialised memory, takes the spacing from one field and the axes from another if the two contradict each other,
and refuses data sets for a rounding error in the axes.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from weakmask.errors import UserError
from weakmask.volume.geometry import ORTHONORMAL, Geometry, Index3
from weakmask.volume.intensity import rescale
from weakmask.volume.nifti_layout import DATATYPES, RAS_TO_LPS, VERSION_1, VERSION_2, structure
from weakmask.volume.payload import CHUNK, LARGE, LARGE_LABELS_IN_PARTS, read_to_end, refuse_bomb
from weakmask.volume.volume import Kind, packed_labels

_UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001}  # metres, millimetres, micrometres; millimetres if not stated
_FIRST_VOXEL = {348: 352, 540: 544}  # bytes, at the least: "vox_offset < 352 is equivalent to 352" (nifti1.h)


def read_nifti(path: Path, kind: Kind = "image", channel: int | None = None) -> tuple[np.ndarray, Geometry]:
    """Read a NIfTI file: voxels (z, y, x) in the type of the file, and their geometry.

    The axes are those of the sform. The qform is used if there is no sform, or if the sform maps to a template (codes 3
    and up) and the qform to the scanner. Without both, the axes are taken as (left, back, head). A slope and intercept
    are applied.

    Args:
        path: The file.
        kind: A large "label" map is kept in the smallest type that holds its labels.
        channel: Which of several volumes of one grid to read, from 0; None: the file has to hold one.

    Raises:
        UserError: The file is truncated, damaged or not NIfTI, has other volumes than expected, or its header states an
            impossible or contradictory grid.
        ValueError: A large label map has numbers that are not whole.
    """
    with _unpacked(path) as stream:
        header = _read_header(stream, path)
        geometry = _geometry(header, path, channel)
        return _read_voxels(stream, header, (geometry.shape, channel or 0), path, kind), geometry


@contextmanager
def _unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, decompressing it if its content is gzip; a damaged file raises a UserError."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
            else:
                yield file
    except EOFError as error:
        raise UserError(f"{path}: the file is truncated; copy or export it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: the packed data are damaged ({error}); copy or export it again") from error


def _read_header(stream: BufferedIOBase, path: Path) -> np.void:
    raw = stream.read(540)
    for version, length in ((VERSION_1, 348), (VERSION_2, 540)):
        for order in ("<", ">"):
            if len(raw) >= length and int(np.frombuffer(raw, order + "i4", 1)[0]) == length:
                header = np.frombuffer(raw, structure(version, length, order), 1)[0]
                magic = bytes(header["magic"])
                if magic.startswith((b"n+1", b"n+2")):
                    return header
                if magic.startswith((b"ni1", b"ni2")):
                    raise UserError(f"{path}: its voxels are in a separate .img file; save it as one .nii file")
    if not raw:
        raise UserError(f"{path}: the file is empty; copy or export it again")
    raise UserError(f"{path}: not a NIfTI file (it begins with {raw[:8]!r}); export it again or correct its name")


def _geometry(header: np.void, path: Path, channel: int | None) -> Geometry:
    """Geometry of the header; refuses faults that ITK would repair."""
    dim = [int(n) for n in header["dim"]]
    axes = dim[0]
    size = dim[1 : axes + 1] if 1 <= axes <= 7 else [0]
    if min(size) < 1:
        raise UserError(f"{path}: the header states {size} voxels along its axes; export the file again")
    if channel is not None and [*size, 1][3] <= channel:
        raise UserError(f"{path}: {_times(size)} has no volume {channel + 1}; fetch or export the file again")
    if any(n > 1 for n in size[3 if channel is None else 4 :]):
        raise UserError(f"{path}: {_times(size)} is more than one volume; save the one to use as a 3-D file")
    size = [*size, 1, 1][:3]
    unit = _UNIT_MM.get(int(header["units"]) & 7, 1.0)
    spacing = np.asarray(header["pixdim"][1:4], dtype=float) * unit
    spacing[axes:] = 1.0  # a 2-D image does not state its thickness
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise UserError(f"{path}: spacing is {_times(spacing)} mm; expected three positive numbers; correct the header")
    columns, offset = _axes(header, spacing, unit)
    if axes < 3:
        columns = _completed(columns, axes)
    _refuse_contradiction(columns, spacing, path)
    try:
        return Geometry.from_xyz(size, spacing.tolist(), (RAS_TO_LPS * offset).tolist(), RAS_TO_LPS[:, None] * columns)
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct the header or export the file again") from error


def _axes(header: np.void, spacing: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """World direction of each axis, one per column, and the position of the first voxel, in NIfTI's RAS frame.

    The columns have length 1 if the header is consistent; those of the sform are not checked yet.
    """
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if sform > 0 and (sform <= 2 or qform <= 0):
        matrix = np.asarray(header["sform"], dtype=float) * unit
        return matrix[:, :3] / spacing, matrix[:, 3]
    if qform > 0:
        b, c, d = (float(v) for v in header["quaternion"])
        a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
        finite = np.isfinite([b, c, d]).all()
        columns = Rotation.from_quat([b, c, d, a]).as_matrix() if finite else np.full((3, 3), np.nan)
        columns[:, 2] *= -1.0 if header["pixdim"][0] < 0 else 1.0
        return columns, np.asarray(header["q_offset"], dtype=float) * unit
    return np.diag(RAS_TO_LPS), np.zeros(3)


def _completed(columns: np.ndarray, axes: int) -> np.ndarray:
    """The axes of a 1-D or 2-D image, completed at right angles."""
    if axes == 1:
        return np.diag(RAS_TO_LPS)
    normal = np.cross(columns[:, 0], columns[:, 1])
    return np.column_stack([columns[:, :2], normal])


def _refuse_contradiction(columns: np.ndarray, spacing: np.ndarray, path: Path) -> None:
    """Refuse columns that are not of length 1 or not at right angles."""
    lengths = np.linalg.norm(columns, axis=0)
    if not np.isfinite(columns).all() or lengths.min() < 1e-6:
        raise UserError(f"{path}: the axes in the header are not usable (zero or not a number); export the file again")
    upright = columns / lengths
    cosine = np.abs(np.triu(upright.T @ upright, 1)).max()
    if cosine > ORTHONORMAL:
        raise UserError(
            f"{path}: the axes are sheared, {np.degrees(np.arcsin(min(1.0, cosine))):.2f} degrees off a right angle "
            "(gantry tilt, or an affine registration); resample the scan onto a rectangular grid first"
        )
    if np.abs(lengths - 1).max() > ORTHONORMAL / 2:
        raise UserError(
            f"{path}: the header states the spacing twice and contradicts itself: {_times(spacing)} mm in pixdim, "
            f"{_times(spacing * lengths)} mm in the sform; correct the header"
        )


def _read_voxels(
    stream: BufferedIOBase, header: np.void, part: tuple[Index3, int], path: Path, kind: Kind
) -> np.ndarray:
    """The voxels of one volume: its shape, and how many of that shape stand before it."""
    shape, before = part
    number = int(header["datatype"])
    if number not in DATATYPES:
        stated = f"voxels of NIfTI data type {number} (colour, complex or unknown)"
        raise UserError(f"{path}: {stated}; expected one whole or real number each")
    dtype = np.dtype(DATATYPES[number])
    size = int(np.prod(shape, dtype=object))
    needed, packed = size * dtype.itemsize, isinstance(stream, gzip.GzipFile)
    in_parts = kind == "label" and needed > LARGE
    if not 0 <= header["vox_offset"] < 2**40:
        raise UserError(f"{path}: its voxels begin at byte {header['vox_offset']}; export the file again")
    offset = max(int(header["vox_offset"]), _FIRST_VOXEL[int(header["size"])]) + before * needed
    # deflate compresses at most 1032 to 1, so a file that is too short is refused before memory is allocated
    held = path.stat().st_size
    largest = held * (1032 if packed else 1)
    if offset + needed > largest:
        raise UserError(_truncated(path, needed, None if packed else max(0, largest - offset)))
    if packed:
        refuse_bomb(path, needed, held, LARGE_LABELS_IN_PARTS if in_parts else LARGE)
    stream.seek(offset)
    parts = _parts(stream, np.empty(CHUNK // dtype.itemsize if in_parts else size, dtype), size, path)
    if header.dtype["dim"].base.byteorder == ">":
        parts = (part.byteswap(inplace=True) for part in parts)
    if in_parts:
        meant = (_meant(part[None], header) for part in parts)
        voxels = packed_labels(meant, size, partial(refuse_bomb, path, held=held)).reshape(shape)
    else:
        voxels = _meant(next(parts).reshape(shape), header)
    if packed:
        read_to_end(stream, path)  # where the checksum is
    return voxels


def _parts(stream: BufferedIOBase, buffer: np.ndarray, size: int, path: Path) -> Iterator[np.ndarray]:
    """The next numbers of a stream, as many at a time as the buffer holds, which is used again each time.

    Raises:
        UserError: The stream has fewer.
    """
    for start in range(0, size, buffer.size):
        part = buffer[: size - start]
        memory, got = memoryview(part.data).cast("B"), 0
        while got < part.nbytes and (count := stream.readinto(memory[got : got + CHUNK])):
            got += count
        if got < part.nbytes:
            raise UserError(_truncated(path, size * part.itemsize, start * part.itemsize + got))
        yield part


def _meant(stored: np.ndarray, header: np.void) -> np.ndarray:
    """Stored numbers with the slope and the intercept of the header applied."""
    slope, intercept = float(header["slope"]), float(header["intercept"])
    if np.isfinite([slope, intercept]).all() and slope != 0 and (slope, intercept) != (1, 0):
        return rescale(stored, slope, intercept)
    return stored


def _truncated(path: Path, needed: int, got: int | None) -> str:
    held = "less" if got is None else f"{got} bytes"
    return (
        f"{path}: the file is truncated: its header promises {needed} bytes of voxels, it holds {held}; copy it again"
    )


def _times(numbers: np.ndarray | list[int]) -> str:
    return " x ".join(f"{n:g}" for n in numbers)
