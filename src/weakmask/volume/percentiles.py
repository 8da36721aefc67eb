"""Percentiles of a volume that is read block by block: exact, in the memory of a block."""

from collections.abc import Iterator, Sequence

import numpy as np

from weakmask.volume.blocks import blocks_of
from weakmask.volume.label_pairs import SLAB_VOXELS, Planes

_DIGIT = 16  # bits that are counted in one walk over the volume


def percentiles(voxels: Planes, percents: Sequence[float], most: int = SLAB_VOXELS) -> list[float]:
    """Percentiles with linear interpolation between voxels, as those of `numpy.percentile`.

    The voxels are not sorted: their 16 highest bits are counted, then the next 16 of those that matter, and so on, so
    that the volume is read once for types of 8 and 16 bits and twice for those of 32.

    Args:
        voxels: Finite numbers (z, y, x); an array, or a volume on the disk.
        percents: From 0 to 100.
        most: Voxels read at a time, see `blocks_of`.
    """
    count = int(np.prod(voxels.shape, dtype=object))
    places = [percent / 100 * (count - 1) for percent in percents]
    ranks = {rank for place in places for rank in (int(place), min(int(place) + 1, count - 1))}
    value = _of_ranks(voxels, sorted(ranks), most)
    pairs = [(value[int(place)], value[min(int(place) + 1, count - 1)], place - int(place)) for place in places]
    return [low + (high - low) * share for low, high, share in pairs]


def _of_ranks(voxels: Planes, ranks: Sequence[int], most: int) -> dict[int, float]:
    """The voxel of each rank, from 0, among all voxels in ascending order."""
    dtype = np.asarray(voxels[0:1, 0:1, 0:1]).dtype
    width = 8 * dtype.itemsize
    digit = min(width, _DIGIT)
    known = {rank: (0, rank) for rank in ranks}  # the high bits of the voxel, and its rank among those that have them
    for shift in range(width - digit, -1, -digit):
        counts = {high: np.zeros(1 << digit, np.int64) for high, _ in known.values()}
        for keys in _keys(voxels, most):
            for high in counts:
                some = keys if shift + digit == width else keys[keys >> (shift + digit) == high]
                digits = (some >> shift) & ((1 << digit) - 1)
                counts[high] += np.bincount(digits.astype(np.int64), minlength=1 << digit)
        for rank, (high, left) in known.items():
            below = np.cumsum(counts[high])
            found = int(np.searchsorted(below, left, side="right"))
            known[rank] = (high << digit | found, left - (int(below[found - 1]) if found else 0))
    return {rank: _value(key, dtype) for rank, (key, _) in known.items()}


def _keys(voxels: Planes, most: int) -> Iterator[np.ndarray]:
    """The voxels of each block as whole numbers without sign, in the same order of size."""
    for block in blocks_of(voxels, most):
        part = np.ascontiguousarray(voxels[block]).reshape(-1)
        bits = part.view(f"u{part.itemsize}")
        sign = bits.dtype.type(1 << (8 * part.itemsize - 1))
        if part.dtype.kind == "f":
            yield np.where(bits & sign, ~bits, bits | sign)
        else:
            yield bits ^ sign if part.dtype.kind == "i" else bits


def _value(key: int, dtype: np.dtype) -> float:
    """The voxel of a key."""
    sign, every = 1 << (8 * dtype.itemsize - 1), (1 << 8 * dtype.itemsize) - 1
    if dtype.kind == "f":
        key = key ^ sign if key & sign else key ^ every
    elif dtype.kind == "i":
        key ^= sign
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype)[()])
