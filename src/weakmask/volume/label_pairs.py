"""Joint histogram of two label volumes: how many voxels carry each pair of labels.

Labels form runs along x, so the pairs are counted run by run: a change of either label starts a run, and only the runs
are sorted. The volumes are read a few planes at a time, so that they may lie on the disk.
"""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

SLAB_VOXELS = 1 << 22  # read at a time
_MOST_RUNS = 1 << 22  # kept before equal pairs are added up


@runtime_checkable
class Planes(Protocol):
    """A volume (z, y, x) that gives planes by a slice of its first axis: an array, a memory map, HDF5 or Zarr."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """The planes of a slice."""
        ...


def label_pairs(one: Planes, other: Planes, slab_voxels: int = SLAB_VOXELS) -> tuple[np.ndarray, np.ndarray]:
    """Count the voxels of every pair of labels.

    Args:
        one: Whole numbers (z, y, x), not negative.
        other: The same, on the same grid.
        slab_voxels: Voxels read at a time; at least one plane is read.

    Returns:
        The pairs (n, 2), int64, sorted, with those of 0; and the voxels of each, int64.

    Raises:
        ValueError: The shapes differ, or labels are negative or not whole numbers.
    """
    if tuple(one.shape) != tuple(other.shape):
        raise ValueError(f"label volumes have shapes {tuple(one.shape)} and {tuple(other.shape)}; expected one grid")
    pairs, voxels = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    waiting_pairs, waiting_voxels, waiting = [pairs], [voxels], 0
    for slab in slabs_of(one.shape, slab_voxels):
        found, lengths = _runs(_labels(one[slab]), _labels(other[slab]))
        waiting_pairs.append(found)
        waiting_voxels.append(lengths)
        waiting += len(found)
        if waiting > _MOST_RUNS:
            pairs, voxels = _added(np.concatenate(waiting_pairs), np.concatenate(waiting_voxels))
            waiting_pairs, waiting_voxels, waiting = [pairs], [voxels], len(pairs) // 2
    return _added(np.concatenate(waiting_pairs), np.concatenate(waiting_voxels))


def slabs_of(shape: tuple[int, ...], voxels: int = SLAB_VOXELS) -> Iterator[slice]:
    """Slices along the first axis that hold about so many voxels, and at least one plane."""
    plane = int(np.prod(shape[1:]))
    depth = max(1, voxels // max(1, plane))
    return (slice(start, min(start + depth, shape[0])) for start in range(0, shape[0], depth))


def _labels(part: Any) -> np.ndarray:
    labels = np.ascontiguousarray(part).reshape(-1)
    if labels.dtype == bool:
        labels = labels.view(np.uint8)
    if labels.dtype.kind not in "iu" or (labels.dtype.kind == "i" and labels.size and labels.min() < 0):
        raise ValueError(f"labels of type {labels.dtype}; expected whole numbers from 0")
    return labels


def _runs(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pair of every run, and its length; equal pairs are added up."""
    if one.size == 0:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    change = one[1:] != one[:-1]
    change |= other[1:] != other[:-1]
    starts = np.concatenate([[0], np.flatnonzero(change) + 1])
    lengths = np.diff(starts, append=one.size)
    return _added(np.stack([one[starts], other[starts]], axis=1).astype(np.int64), lengths)


def _added(pairs: np.ndarray, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair once, sorted, with the sum of its voxels."""
    if len(pairs) == 0:
        return pairs, voxels
    most = pairs.max(axis=0)
    if int(most[0]) + 1 <= np.iinfo(np.int64).max // (int(most[1]) + 1):  # one number holds both labels
        keys, place = np.unique(pairs[:, 0] * (most[1] + 1) + pairs[:, 1], return_inverse=True)
        found = np.stack(np.divmod(keys, most[1] + 1), axis=1)
    else:
        found, place = np.unique(pairs, axis=0, return_inverse=True)
    total = np.bincount(place.reshape(-1), weights=voxels, minlength=len(found))  # exact up to 2^53 voxels
    return found, total.astype(np.int64)
