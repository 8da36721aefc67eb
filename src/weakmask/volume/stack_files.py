"""Files of stacks by their names: one door to read them in blocks, and one to write label volumes.

stack = open_stack("raw.h5")            # .tif, .h5, .zarr, a folder of sections, MitoEM's .json
block = stack[0:32, 0:256, 0:256]       # only these voxels are read
write_stack(labels, "instances.tif", spacing_nm=(30, 8, 8))
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weakmask.atomic_write import atomic_file, atomic_folder
from weakmask.errors import UserError
from weakmask.volume.blocks import blocks_of
from weakmask.volume.hdf5_stack import SUFFIXES as HDF5
from weakmask.volume.hdf5_stack import open_hdf5, split_name
from weakmask.volume.label_pairs import Planes, slabs_of
from weakmask.volume.section_folder import is_section_folder, is_tile_list, open_sections, open_tile_list
from weakmask.volume.stack import Stack, positive_spacing, readable
from weakmask.volume.tiff_stack import SUFFIXES as TIFF
from weakmask.volume.tiff_stack import open_tiff
from weakmask.volume.volume import Kind
from weakmask.volume.zarr_stack import is_zarr, open_zarr

SUFFIXES = (*TIFF, *HDF5, ".zarr")
WRITTEN = (".tif", ".h5", ".zarr")
_LEVEL = 4  # of zlib: label volumes pack 50 to 1, further levels gain little
_CHUNK = (16, 256, 256)  # voxels packed together
_WRITTEN_VOXELS = 1 << 24  # at a time


def is_stack(path: Path) -> bool:
    """Whether a path is a stack: by the suffix of a file, the content of a folder, or a name behind a colon."""
    if path.is_dir():
        return is_zarr(path) or is_section_folder(path)
    return split_name(path)[0].suffix.lower() in (*TIFF, *HDF5) or is_tile_list(path)


def written_suffix(path: Path) -> str:
    """The suffix in which volumes that belong to a stack are written: that of the stack's format, or else .tif."""
    if is_zarr(path):
        return ".zarr"
    return ".h5" if split_name(path)[0].suffix.lower() in HDF5 else ".tif"


def open_stack(path: str | Path, kind: Kind = "image") -> Stack:
    """Open a stack, to read it in blocks.

    Args:
        path: A .tif or .tiff; an .h5, .hdf5 or .hdf, or `file.h5:/name` for one of several volumes; a folder of Zarr; a
            folder of pictures, one a section; a .json list of MitoEM.
        kind: "label" for masks and instances: colour is refused, and a palette's numbers count. A mask is where voxels
            are not 0.

    Raises:
        UserError: No such file, an unknown format, or one that is truncated or damaged.
    """
    path = Path(path)
    file = split_name(path)[0]
    if not file.exists():
        raise UserError(f"{file}: no such file or folder; check the path")
    if is_zarr(path):
        return open_zarr(path)
    if path.is_dir():
        return open_sections(path, kind)
    if not file.is_file():
        raise UserError(f"{file}: a pipe or a device; expected a file or a folder")
    if file.suffix.lower() in HDF5:
        return open_hdf5(path)
    if file.suffix.lower() in TIFF:
        return open_tiff(path, kind)
    if is_tile_list(path):
        return open_tile_list(path, kind)
    raise UserError(f"{path}: not a stack; expected {', '.join(SUFFIXES)}, a folder of sections or a .json list")


def write_stack(
    voxels: Planes, path: str | Path, spacing_nm: Sequence[float] | None = None, dtype: Any = np.uint32
) -> None:
    """Write a volume as .tif (OME-TIFF, a page a section), .h5 or .zarr (OME-Zarr); complete or not at all.

    Args:
        voxels: (z, y, x); read block by block, of a .tif by whole sections.
        path: Where to; the suffix gives the format.
        spacing_nm: Voxel size along z, y and x in nm; None: not stated.
        dtype: Type in the file; uint32 for instances.

    Raises:
        UserError: The suffix is not supported, a spacing is not positive, or the libraries are missing.
        ValueError: A voxel does not fit the type.
        MachineError: The path cannot be written.
    """
    path = Path(path)
    spacing = None if spacing_nm is None else positive_spacing(spacing_nm, path)
    writers = {".tif": _write_tiff, ".h5": _write_hdf5, ".zarr": _write_zarr}
    if path.suffix not in writers:
        raise UserError(f"{path}: cannot write this format; choose one of {', '.join(WRITTEN)}")
    into = atomic_folder if path.suffix == ".zarr" else atomic_file
    with into(path) as temporary:
        writers[path.suffix](voxels, temporary, spacing, np.dtype(dtype))


def _fitting(part: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Voxels in the type of the file.

    Raises:
        ValueError: A whole number does not fit the type.
    """
    if dtype.kind in "iu" and part.size:
        ends = np.iinfo(dtype)
        if part.min() < ends.min or part.max() > ends.max:
            raise ValueError(f"voxels from {part.min()} to {part.max()} do not fit {dtype}")
    return part.astype(dtype)


def _write_tiff(voxels: Planes, path: Path, spacing: Sequence[float] | None, dtype: np.dtype[Any]) -> None:
    with readable(path):
        import tifffile  # noqa: PLC0415 - of the extra `em`
    sizes = {f"PhysicalSize{axis}": step for axis, step in zip("ZYX", spacing or (), strict=False)}
    units = {f"{name}Unit": "nm" for name in sizes}
    slabs = slabs_of(voxels.shape, _WRITTEN_VOXELS)
    planes = (plane for slab in slabs for plane in _fitting(np.asarray(voxels[slab]), dtype))
    size = int(np.prod(voxels.shape, dtype=object)) * dtype.itemsize
    with tifffile.TiffWriter(path, bigtiff=size > 2**31, ome=True) as tif:
        tif.write(
            planes, shape=tuple(voxels.shape), dtype=dtype, photometric="minisblack", compression="zlib",
            compressionargs={"level": _LEVEL}, metadata={"axes": "ZYX", **sizes, **units},
        )  # fmt: skip


def _write_hdf5(voxels: Planes, path: Path, spacing: Sequence[float] | None, dtype: np.dtype[Any]) -> None:
    with readable(path):
        import h5py  # noqa: PLC0415 - of the extra `em`
    chunks = tuple(min(n, side) for n, side in zip(voxels.shape, _CHUNK, strict=True))
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "main", shape=tuple(voxels.shape), dtype=dtype, chunks=chunks, compression="gzip", compression_opts=_LEVEL
        )
        if spacing is not None:
            data.attrs["resolution"] = list(spacing)
        for block in blocks_of(data, _WRITTEN_VOXELS):
            data[block] = _fitting(np.asarray(voxels[block]), dtype)


def _write_zarr(voxels: Planes, path: Path, spacing: Sequence[float] | None, dtype: np.dtype[Any]) -> None:
    with readable(path):
        import zarr  # noqa: PLC0415 - of the extra `em`
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    axes = [{"name": axis, "type": "space"} | ({"unit": "nanometer"} if spacing else {}) for axis in "zyx"]
    scale = [{"type": "scale", "scale": list(spacing or (1.0, 1.0, 1.0))}]
    image = {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["multiscales"] = [image]
    chunks = tuple(min(n, side) for n, side in zip(voxels.shape, _CHUNK, strict=True))
    array = group.create_array("0", shape=tuple(voxels.shape), dtype=dtype, chunks=chunks)
    for block in blocks_of(array, _WRITTEN_VOXELS):
        array[block] = _fitting(np.asarray(voxels[block]), dtype)
