"""Zarr and OME-Zarr stacks, version 2 and 3; of several resolutions the finest is read."""

from pathlib import Path
from typing import Any

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.geometry import Box, Float3
from weakmask.volume.hdf5_stack import attribute_spacing, grid_of, is_volume
from weakmask.volume.stack import Stack, nanometres, positive_spacing, readable

_MARKS = (".zarray", ".zgroup", "zarr.json")


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder of Zarr, by the files of its format; or called so."""
    return path.is_dir() and (path.suffix.lower() == ".zarr" or any((path / mark).is_file() for mark in _MARKS))


def open_zarr(path: Path) -> Stack:
    """A Zarr stack: an array, the finest image of OME-Zarr's multiscales, or the first volume of a group.

    Args:
        path: A folder of Zarr, or of a group or an array in it (`file.zarr/raw`).

    Raises:
        UserError: The store is damaged, holds no volume, or has several channels or times.
    """
    with readable(path):
        import zarr  # noqa: PLC0415 - of the extra `em`

        opened = zarr.open(str(path), mode="r")
        array, spacing = (opened, None) if isinstance(opened, zarr.Array) else _chosen(opened, path)
        if not is_volume(array):
            raise UserError(
                f"{path}: its array has the shape {tuple(array.shape)} of {array.dtype}; expected numbers with "
                "sections, rows and columns, of one channel and time"
            )
        spacing = spacing or attribute_spacing(array.attrs, path)
        shape, leading = grid_of(array.shape)

    def read(box: Box) -> np.ndarray:
        """Voxels of a box."""
        return np.asarray(array[(*(0,) * leading, *box.slices)])

    return Stack(path, shape, np.dtype(array.dtype).newbyteorder("="), spacing, read, grid_of(array.chunks)[0])


def _chosen(group: Any, path: Path) -> tuple[Any, Float3 | None]:
    """The array of a group to read, and its voxel size where OME-Zarr states it.

    Raises:
        UserError: There is no volume.
    """
    notes = dict(group.attrs)
    scales = notes.get("ome", notes).get("multiscales")
    if scales:
        finest = scales[0]["datasets"][0]
        return group[finest["path"]], _ome_spacing(scales[0], finest, path)
    for _, array in sorted(group.arrays()):
        if is_volume(array):
            return array, None
    raise UserError(f"{path}: holds no volume of numbers with sections, rows and columns; name the array in it")


def _ome_spacing(scales: dict[str, Any], finest: dict[str, Any], path: Path) -> Float3 | None:
    """Voxel size along the last three axes in nm; None where a unit is missing or not known.

    The scale of the finest image is multiplied by the one that all images share.
    """
    axes = [axis for axis in scales.get("axes", []) if isinstance(axis, dict)][-3:]
    units = [nanometres(axis.get("unit")) for axis in axes]
    steps = np.ones(3)
    transforms = [*finest.get("coordinateTransformations", []), *scales.get("coordinateTransformations", [])]
    found = [one["scale"][-3:] for one in transforms if one.get("type") == "scale"]
    if len(units) != 3 or None in units or not found:
        return None
    for scale in found:
        steps = steps * np.asarray(scale, dtype=float)
    return positive_spacing([step * unit for step, unit in zip(steps.tolist(), units, strict=True) if unit], path)
