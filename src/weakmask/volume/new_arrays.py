"""New arrays for results that are written and read block by block: in memory, or packed on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from weakmask.volume.geometry import Index3
from weakmask.volume.label_pairs import SLAB_VOXELS
from weakmask.volume.stack import readable

_DEEPEST, _SIDE = 16, 256  # voxels that are packed together


@runtime_checkable
class NewArrays(Protocol):
    """A maker of arrays that take slices, as NumPy's do."""

    def __call__(self, name: str, shape: Index3, dtype: Any) -> Any:
        """An array of zeros.

        Args:
            name: Differs between the arrays of one maker.
            shape: Voxels along z, y and x.
            dtype: Type of the voxels.
        """
        ...


def in_memory(name: str, shape: Index3, dtype: Any) -> np.ndarray:  # noqa: ARG001 - as a maker is called
    """A maker of arrays in memory."""
    return np.zeros(shape, dtype)


@dataclass(frozen=True)
class OnDisk:
    """A maker of arrays on the disk, by Zarr.

    Attributes:
        folder: The folder that holds them.
        slab_voxels: Voxels of the slabs that will be read and written; packed blocks are no deeper than a slab.
    """

    folder: Path
    slab_voxels: int = SLAB_VOXELS

    def __call__(self, name: str, shape: Index3, dtype: Any) -> Any:
        """An array of zeros, which takes no space."""
        with readable(self.folder):
            import zarr  # noqa: PLC0415 - of the extra `em`
        depth = max(1, min(_DEEPEST, self.slab_voxels // max(1, shape[1] * shape[2])))
        side = _SIDE if depth > 1 else 2 * _SIDE
        chunks = tuple(min(n, most) for n, most in zip(shape, (depth, side, side), strict=True))
        group = zarr.open_group(str(self.folder), mode="a", zarr_format=2)
        return group.create_array(name, shape=shape, dtype=np.dtype(dtype), chunks=chunks)


@dataclass(frozen=True)
class Channels:
    """Arrays of one shape as the channels of one, which takes blocks of all channels.

    Attributes:
        arrays: One for each channel; a sequence of arrays, or an array with the channels first.
    """

    arrays: Sequence[Any] | np.ndarray

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        return np.dtype(self.arrays[0].dtype)

    def __setitem__(self, index: tuple[slice, ...], values: np.ndarray) -> None:
        """Write a block (channel, z, y, x).

        Args:
            index: All channels, and the slices of the block.
            values: Voxels of the block.

        Raises:
            ValueError: The index is not one of all channels.
        """
        if index[0] != slice(None) or len(values) != len(self.arrays):
            raise ValueError(f"{index[0]} of {len(values)} channels; expected all of {len(self.arrays)}")
        for array, part in zip(self.arrays, values, strict=True):
            array[index[1:]] = part
