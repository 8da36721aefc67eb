"""Tiles of a scan for network inference, and the assembly of their answers without seams.

The output of a network with valid convolutions is smaller than its input by `margin` voxels on each side, so tiles read
overlapping parts. A network with zero padding sees zeros beyond the faces of a tile where the scan continues, so tiles
are read with a margin whose answers are discarded. In both cases poolings must be aligned with those of one pass over
the whole scan: tiles start at multiples of `grid`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from weakmask.volume.geometry import Box, Index3
from weakmask.volume.label_pairs import Planes

Border = Literal["constant", "reflect"]


@dataclass(frozen=True)
class Tile:
    """One piece of a scan, in the scan's voxels.

    Attributes:
        read: The network's input; may reach past the scan.
        answer: The voxels of the network's output; may reach past the scan.
        write: The part of the answer that is kept. The writes of all tiles cover every voxel of the scan once.
    """

    read: Box
    answer: Box
    write: Box


def valid_tiles(shape: Index3, side: Index3, margin: Index3, grid: Index3, least: Index3) -> list[Tile]:
    """Tiles for a network that removes `margin` voxels on each side and returns `least + k grid` along each axis.

    Neighbours step by `side - least`, so they overlap by `least` voxels, which the later tile writes. The last tile
    along an axis is as small as possible. The dRAM paper's 132 -> 44 is margin 44, grid 8, least 4.

    Args:
        shape: The scan's, in voxels (z, y, x).
        side: The answer's; each `least + k grid` with k of at least 1, or just `least` where that covers the scan.
        margin: Voxels that the network removes on each side.
        grid: Tiles start at multiples of this.
        least: The smallest answer.

    Raises:
        ValueError: A side is not of that form.
    """
    axes = []
    for n, s, m, g, k in zip(shape, side, margin, grid, least, strict=True):
        step = s - k
        if step < 0 or step % g or (step == 0 and n > k):
            raise ValueError(f"the sides of a tile are {side}; expected {least} + k x {grid} along each axis")
        starts = range(0, max(n - k, 1), max(step, 1))
        stops = [min(start + s, start + rounded_up(n - start - k, g) + k) for start in starts]
        writes = zip(starts, [*starts[1:], n], strict=True)
        spans = zip(starts, stops, writes, strict=True)
        axes.append([((a - m, b + m), (a, b), write) for a, b, write in spans])
    return _tiles(axes)


def same_tiles(shape: Index3, side: Index3, margin: Index3, grid: Index3) -> list[Tile]:
    """Tiles for a network whose output has the size of its input.

    At the scan's faces a tile ends with the scan, so the network's padding is that of one pass.

    Args:
        shape: The scan's, in voxels (z, y, x).
        side: Voxels that a tile writes; multiples of `grid`.
        margin: How far an output voxel sees; multiples of `grid`.
        grid: Tiles start at multiples of this.

    Raises:
        ValueError: A side or margin is not a multiple of `grid`.
    """
    if min(side) < 1 or any(s % g or m % g for s, m, g in zip(side, margin, grid, strict=True)):
        raise ValueError(f"sides {side} and margins {margin} must be multiples of {grid}")
    axes = []
    for n, s, m in zip(shape, side, margin, strict=True):
        writes = [(start, min(start + s, n)) for start in range(0, n, s)]
        reads = [(max(a - m, 0), min(b + m, n)) for a, b in writes]
        axes.append([(read, read, write) for read, write in zip(reads, writes, strict=True)])
    return _tiles(axes)


def even_side(shape: Index3, counts: Index3, grid: Index3, least: Index3) -> Index3:
    """The smallest sides `least + k grid` of tiles such that `counts` of them along each axis cover the scan."""
    along = zip(shape, counts, grid, least, strict=True)
    return cast("Index3", tuple(k + rounded_up(-(-max(n - k, 0) // count), g) for n, count, g, k in along))


def rounded_up(voxels: int, grid: int) -> int:
    """Round up to a multiple of the grid; 0 for negative numbers."""
    return max(0, -(-voxels // grid) * grid)


def cut(voxels: np.ndarray, box: Box, border: Border = "constant", fill: float = 0.0) -> np.ndarray:
    """Copy the voxels of a box, which may reach past the scan.

    Args:
        voxels: The scan (z, y, x).
        box: Of any size, anywhere.
        border: Voxels outside the scan are `fill`, or the scan mirrored at its outermost voxels, which are not
            repeated; it is mirrored again if the box reaches further.
        fill: For "constant".
    """
    if border == "reflect":
        return cut_mirrored(voxels, box)
    part = np.full(box.shape, fill, dtype=voxels.dtype)
    inside = box.clipped(cast("Index3", voxels.shape))
    if min(inside.shape) > 0:
        part[within(inside, box)] = voxels[inside.slices]
    return part


def cut_mirrored(voxels: Planes, box: Box) -> np.ndarray:
    """Copy the voxels of a box from an array or a volume on the disk, mirrored as by `cut`.

    Args:
        voxels: (z, y, x); only the part that the box shows is read.
        box: Of any size, anywhere.
    """
    places = [_mirrored(a, b, n) for a, b, n in zip(box.start, box.stop, voxels.shape, strict=True)]
    lows = [int(place.min()) for place in places]
    part = np.asarray(voxels[tuple(slice(a, int(place.max()) + 1) for a, place in zip(lows, places, strict=True))])
    z, y, x = (place - a for place, a in zip(places, lows, strict=True))
    return part[z[:, None, None], y[None, :, None], x[None, None, :]]


def put_back(whole: np.ndarray, tile: Tile, answer: np.ndarray) -> None:
    """Write a tile's answer to its place in the scan.

    Args:
        whole: The scan's answer, (..., z, y, x); filled in place.
        tile: The tile.
        answer: The network's output, (..., *tile.answer.shape).
    """
    whole[(..., *tile.write.slices)] = answer[(..., *within(tile.write, tile.answer))]


def within(inner: Box, outer: Box) -> tuple[slice, slice, slice]:
    """Position of a box relative to another box that contains it."""
    starts = [a - b for a, b in zip(inner.start, outer.start, strict=True)]
    z, y, x = (slice(start, start + n) for start, n in zip(starts, inner.shape, strict=True))
    return z, y, x


def _mirrored(start: int, stop: int, n: int) -> np.ndarray:
    """Indices of a mirrored line: ... 2 1 | 0 1 2 ... n-1 | n-2 n-3 ..."""
    if n == 1:
        return np.zeros(stop - start, dtype=int)
    place = np.arange(start, stop) % (2 * n - 2)
    return np.minimum(place, 2 * n - 2 - place)


def _tiles(axes: Sequence[Sequence[tuple[tuple[int, int], ...]]]) -> list[Tile]:
    """Every combination of the axes' (read, answer, write) spans."""
    tiles = []
    for spans in itertools.product(*axes):
        boxes = []
        for along in zip(*spans, strict=True):  # the reads of z, y, x, then the answers, then the writes
            (z0, z1), (y0, y1), (x0, x1) = along
            boxes.append(Box((z0, y0, x0), (z1, y1, x1)))
        tiles.append(Tile(*boxes))
    return tiles
