"""HDF5 stacks: the first volume of a file, or the one that is named behind a colon (`file.h5:/volumes/raw`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.geometry import Box, Float3, Index3
from weakmask.volume.stack import Stack, positive_spacing, readable

SUFFIXES = (".h5", ".hdf5", ".hdf")
SPACINGS = {"spacing_nm": 1.0, "resolution": 1.0, "element_size_um": 1e3}  # attribute -> nm; z, y, x
_MOST_NAMES = 10_000


def split_name(path: Path) -> tuple[Path, str]:
    """A path and the name of a data set behind a colon, "" without one: `a.h5:/raw` is `a.h5` and `/raw`."""
    text = str(path)
    for suffix in SUFFIXES:
        place = text.lower().rfind(f"{suffix}:")
        if place >= 0:
            cut = place + len(suffix)
            return Path(text[:cut]), text[cut + 1 :]
    return path, ""


def open_hdf5(path: Path) -> Stack:
    """An HDF5 stack; its voxel size is an attribute: `resolution` (nm, CREMI's) or `element_size_um` (of ilastik).

    Args:
        path: An existing file, if need be with a name behind a colon.

    Raises:
        UserError: The file is truncated or damaged, the name is missing, or there is no volume.
    """
    file, name = split_name(path)
    with readable(path):
        import h5py  # noqa: PLC0415 - of the extra `em`

        with h5py.File(file, "r") as opened:
            held = {found: data for found, data in _datasets(opened) if is_volume(data)}
            if name and name.strip("/") not in held:
                raise UserError(f"{path}: no volume of that name; it holds {', '.join(sorted(held)[:10]) or 'none'}")
            if not held:
                raise UserError(f"{path}: holds no volume of numbers with sections, rows and columns")
            chosen = name.strip("/") or next(iter(held))
            spacing = attribute_spacing(held[chosen].attrs, path)
            shape, leading = grid_of(held[chosen].shape)
            dtype = np.dtype(held[chosen].dtype.newbyteorder("="))
            chunks = None if held[chosen].chunks is None else grid_of(held[chosen].chunks)[0]

    def read(box: Box) -> np.ndarray:
        """Voxels of a box."""
        with h5py.File(file, "r") as opened:
            data: Any = opened[chosen]
            return data[(*(0,) * leading, *box.slices)]

    return Stack(path, shape, dtype, spacing, read, chunks)


def _datasets(group: Any, before: str = "", seen: int = 0) -> Iterator[tuple[str, Any]]:
    """(name, data set) of a group and the groups in it, by name; links to other files are not followed."""
    import h5py  # noqa: PLC0415 - of the extra `em`

    for number, key in enumerate(group):
        link = group.get(key, getlink=True)
        if number + seen > _MOST_NAMES or not isinstance(link, h5py.HardLink):
            continue
        item = group[key]
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                continue
            yield f"{before}{key}", item
        elif isinstance(item, h5py.Group) and before.count("/") < 8:
            yield from _datasets(item, f"{before}{key}/", number + seen)


def is_volume(data: Any) -> bool:
    """Whether an array of HDF5 or Zarr is a volume of numbers; axes of one voxel before the last three are ignored."""
    shape = tuple(data.shape or ())
    numbers = np.dtype(data.dtype).kind in "biuf"
    return numbers and len(shape) >= 3 and min(shape) > 0 and set(shape[:-3]) <= {1}


def grid_of(shape: tuple[int, ...]) -> tuple[Index3, int]:
    """The last three axes, and how many are before them."""
    z, y, x = (int(n) for n in shape[-3:])
    return (z, y, x), len(shape) - 3


def attribute_spacing(attributes: Any, path: Path) -> Float3 | None:
    """The voxel size in the attributes of an array, in nm.

    Raises:
        UserError: It is not three positive numbers.
    """
    for name, scale in SPACINGS.items():
        if name in attributes:
            steps = np.asarray(attributes[name], dtype=float).reshape(-1) * scale
            return positive_spacing(steps.tolist(), path)
    return None
