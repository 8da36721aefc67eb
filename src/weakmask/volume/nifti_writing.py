"""Writing of NIfTI-1 files (.nii, .nii.gz): ITK is not used because it reports success on a full disk."""

import gzip
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from weakmask.volume.geometry import Geometry
from weakmask.volume.nifti_layout import DATATYPES, RAS_TO_LPS, VERSION_1, structure


def write_nifti(voxels: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Write a NIfTI-1 file with equal qform and sform, compressed if the name ends in .gz; output is reproducible.

    Raises:
        ValueError: NIfTI does not support the type of the voxels, or an axis is longer than 32767.
        OSError: The disk is full, or the file cannot be written for another reason.
    """
    header = _header_of(voxels, geometry)
    with path.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            # level 6 takes three times as long and saves 2 % of a CT
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=1, mtime=0) as stream:
                _write(stream, header, voxels)
        else:
            _write(file, header, voxels)


def _write(stream: BufferedIOBase, header: bytes, voxels: np.ndarray) -> None:
    stream.write(header)
    stream.writelines(np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<")).data for plane in voxels)


def _header_of(voxels: np.ndarray, geometry: Geometry) -> bytes:
    """The 352 header bytes before the voxels."""
    numbers = {np.dtype(name): number for number, name in DATATYPES.items()}
    if voxels.dtype not in numbers or max(voxels.shape) > 32767:
        raise ValueError(f"NIfTI-1 cannot hold {voxels.dtype} voxels of shape {voxels.shape}")
    columns = RAS_TO_LPS[:, None] * geometry.direction_xyz
    offset = RAS_TO_LPS * np.asarray(geometry.origin_mm[::-1])
    spacing = np.asarray(geometry.spacing_mm[::-1])
    handed = 1.0 if np.linalg.det(columns) > 0 else -1.0
    quaternion = Rotation.from_matrix(columns * [1.0, 1.0, handed]).as_quat()
    quaternion *= 1.0 if quaternion[3] >= 0 else -1.0  # the file stores b, c, d; a is the positive root
    header = np.zeros(1, structure(VERSION_1, 348, "<"))[0]
    header["size"] = 348
    header["dim"] = [3, *voxels.shape[::-1], 1, 1, 1, 1]
    header["datatype"], header["bitpix"] = numbers[voxels.dtype], voxels.dtype.itemsize * 8
    header["pixdim"] = [handed, *spacing, 0, 0, 0, 0]
    header["vox_offset"], header["slope"], header["units"] = 352, 1, 2
    header["qform_code"] = header["sform_code"] = 1  # scanner coordinates
    header["quaternion"], header["q_offset"] = quaternion[:3], offset
    header["sform"] = np.column_stack([columns * spacing, offset])
    header["magic"] = b"n+1"
    return header.tobytes() + bytes(4)
