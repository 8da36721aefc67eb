"""Probabilities of a network over a volume of any size, from overlapping windows with Gaussian weights.

The volume is computed in blocks: each block adds up the windows that meet it and is written once, so that memory does
not depend on the volume. The sum of the weights is known in advance, so every block divides by it alone, and the result
does not depend on the blocks.

A network that states its reach sees the same around most voxels of overlapping windows, and its answers agree there.
They differ only in bands along the windows' faces, which are as wide as the reach. So one pass over the block and the
bands of its windows give the average of all windows, to rounding, in less time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weakmask.activation.blended_windows import Windows
from weakmask.networks.reach import Reach
from weakmask.progress import track
from weakmask.volume.geometry import Box, Index3
from weakmask.volume.label_pairs import Planes
from weakmask.volume.tiles import cut_mirrored, rounded_up, same_tiles, within

Network = Callable[[Tensor], Tensor]  # voxels (1, 1, z, y, x), float32 -> probabilities (1, channel, z, y, x)
WINDOWS = Windows()
_OUTER = 4.0  # memory of the surroundings of a block, in terms of the block's


@dataclass(frozen=True)
class BlendingWork:
    """Device and memory of the computation.

    Attributes:
        memory_gb: For the sums of one block, in GiB; the maps of the network on one window come in addition.
        device: Device name of torch.
    """

    memory_gb: float = 0.5
    device: str = "cpu"


def blended_probabilities(
    network: Network,
    scan: Planes,
    windows: Windows = WINDOWS,
    channels: int = 2,
    out: Any = None,
    reach: Reach | None = None,
    work: BlendingWork = BlendingWork(),
) -> Any:
    """Average of a network's answers on overlapping windows, for every voxel of a volume.

    Args:
        network: Takes one window (1, 1, z, y, x) of raw voxels as float32 and returns probabilities (1, channel, z, y,
            x); no gradients are recorded.
        scan: Voxels (z, y, x); an array, or a volume on the disk that is read by blocks.
        windows: Size, stride and padding of the windows.
        channels: Of the network's answer.
        out: Where the result goes, (channel, z, y, x): an array that takes slices, as memory maps, HDF5 and Zarr do.
            Whole numbers of 8 bits hold 255 times the probability, rounded. None makes a new array of uint8.
        reach: Of a network with padding; None, or one without a margin: every window is computed as a whole. Results
            are equal to rounding.
        work: Device and memory.

    Returns:
        `out`.

    Raises:
        ValueError: The network's answer has another shape.
    """
    shape: Index3 = tuple(scan.shape)  # pyright: ignore[reportAssignmentType]
    whole = np.zeros((channels, *shape), np.uint8) if out is None else out
    blocks = _blocks(shape, windows, channels, work.memory_gb)
    bands = _Bands.of(reach, windows)
    weights = torch.from_numpy(windows.weights())
    for block in track(blocks, "segment", len(blocks)):
        part = _Block(network, scan, windows, channels, block, work.device)
        sums = part.all_windows(weights) if bands is None else part.one_pass_and_bands(weights, bands)
        whole[(slice(None), *block.slices)] = _stored(sums, whole.dtype)
    return whole


@dataclass(frozen=True)
class _Bands:
    """How wide the bands are in which windows differ; a band is computed from a slab of twice its width.

    Attributes:
        margin: Voxels along each axis, a multiple of the grid.
        grid: Of the network's poolings along each axis.
    """

    margin: Index3
    grid: Index3

    @classmethod
    def of(cls, reach: Reach | None, windows: Windows) -> "_Bands | None":
        """The bands of a network, or None where computing whole windows is less work or the only way."""
        if reach is None or reach.margin is None or reach.valid_loss:
            return None
        axes = [(max(one.margin or 0, 1), one.multiple) for one in map(reach.along, range(3))]
        (mz, gz), (my, gy), (mx, gx) = ((rounded_up(margin, grid), grid) for margin, grid in axes)
        bands = cls((mz, my, mx), (gz, gy, gx))
        numbers = zip((windows.size, windows.stride, windows.padding), (bands.grid,) * 3, strict=True)
        aligned = all(n % grid == 0 for row, grids in numbers for n, grid in zip(row, grids, strict=True))
        shares = [margin / side for margin, side in zip(bands.margin, windows.size, strict=True)]
        if not aligned or max(shares) > 1 / 4:
            return None
        windows_of_a_voxel = np.prod([side / step for side, step in zip(windows.size, windows.stride, strict=True)])
        once = np.prod([1 + 2 * share for share in shares])
        return bands if once + windows_of_a_voxel * 4 * sum(shares) < windows_of_a_voxel else None


@dataclass(frozen=True)
class _Block:
    """The computation of one block."""

    network: Network
    scan: Planes
    windows: Windows
    channels: int
    block: Box
    device: str

    def all_windows(self, weights: Tensor) -> Tensor:
        """Every window computed as a whole."""
        chosen = list(self._chosen())
        outer = _around(chosen)
        voxels = self._voxels(outer)
        sums = torch.zeros((self.channels, *self.block.shape))
        for window in chosen:
            shared = _shared(window, self.block)
            answer = self._answer(voxels, window, outer)[(..., *within(shared, window))]
            sums[(..., *within(shared, self.block))].addcmul_(answer, weights[within(shared, window)])
        return sums.div_(torch.from_numpy(self.windows.total(self._shape, self.block)))

    def one_pass_and_bands(self, weights: Tensor, bands: _Bands) -> Tensor:
        """One pass over the block, and what the windows differ from it in the bands along their faces."""
        chosen = list(self._chosen())
        extent = self.windows.extent(self._shape)
        near = _shared(_on_grid(self.block, extent, bands.grid).grown(bands.margin), extent)
        outer = _around([near, *chosen])
        voxels = self._voxels(outer)
        once = self._one_pass(voxels[within(near, outer)], bands)
        sums = once[(..., *within(self.block, near))].clone()
        total = torch.from_numpy(self.windows.total(self._shape, self.block))
        for window in chosen:
            for slab, band in _bands_of(window, extent, bands):
                shared = _shared(band, self.block)
                if min(shared.shape) < 1:
                    continue
                answer = self._answer(voxels, slab, outer)[(..., *within(shared, slab))]
                answer = answer - once[(..., *within(shared, near))]
                share = weights[within(shared, window)] / total[within(shared, self.block)]
                sums[(..., *within(shared, self.block))].addcmul_(answer, share)
        return sums

    @property
    def _shape(self) -> Index3:
        return tuple(self.scan.shape)  # pyright: ignore[reportReturnType]

    def _chosen(self) -> Iterator[Box]:
        return self.windows.meeting(self._shape, self.block)

    def _voxels(self, outer: Box) -> Tensor:
        """The surroundings of the block, in the scan's type."""
        return torch.from_numpy(np.ascontiguousarray(_plain(cut_mirrored(self.scan, outer))))

    def _one_pass(self, voxels: Tensor, bands: _Bands) -> Tensor:
        """The network on a box of voxels, each voxel once, in tiles of the size of a window."""
        once = torch.zeros((self.channels, *voxels.shape))
        shape: Index3 = tuple(voxels.shape)  # pyright: ignore[reportAssignmentType]
        for tile in same_tiles(shape, self.windows.size, bands.margin, bands.grid):
            answer = self._run(voxels[tile.read.slices])
            once[(..., *tile.write.slices)] = answer[(..., *within(tile.write, tile.read))]
        return once

    def _answer(self, voxels: Tensor, box: Box, outer: Box) -> Tensor:
        return self._run(voxels[within(box, outer)])

    def _run(self, voxels: Tensor) -> Tensor:
        """The network on a box of voxels, (channel, z, y, x)."""
        with torch.inference_mode():
            answer = self.network(voxels[None, None].to(self.device, torch.float32))
        if tuple(answer.shape) != (1, self.channels, *voxels.shape):
            expected = (1, self.channels, *voxels.shape)
            raise ValueError(f"the network's answer has the shape {tuple(answer.shape)}; expected {expected}")
        return answer[0].float().cpu()


def _bands_of(window: Box, extent: Box, bands: _Bands) -> Iterator[tuple[Box, Box]]:
    """(slab to compute, band of it that differs from one pass) for each face of a window inside the extent.

    Bands of the three axes do not overlap: those of a later axis leave out what an earlier one holds.
    """
    inner = window
    for axis, width in enumerate(bands.margin):
        low, high = inner.start[axis], inner.stop[axis]
        if window.start[axis] > extent.start[axis]:
            slab = _with(window, axis, window.start[axis], window.start[axis] + 2 * width)
            yield slab, _with(inner, axis, low, low + width)
            low += width
        if window.stop[axis] < extent.stop[axis]:
            slab = _with(window, axis, window.stop[axis] - 2 * width, window.stop[axis])
            yield slab, _with(inner, axis, high - width, high)
            high -= width
        inner = _with(inner, axis, low, high)


def _on_grid(block: Box, extent: Box, grid: Index3) -> Box:
    """The block, enlarged to the grid of the network's poolings."""
    starts = [a - (a - low) % step for a, low, step in zip(block.start, extent.start, grid, strict=True)]
    stops = [b + (low - b) % step for b, low, step in zip(block.stop, extent.start, grid, strict=True)]
    return Box(tuple(starts), tuple(stops))  # pyright: ignore[reportArgumentType]


def _blocks(shape: Index3, windows: Windows, channels: int, memory_gb: float) -> list[Box]:
    """Blocks that cover the volume and fit into memory, as few as possible; at least one stride wide."""
    most = memory_gb * 2**30 / (4 * channels * _OUTER)
    counts = [1, 1, 1]
    while True:
        sides = [-(-n // count) for n, count in zip(shape, counts, strict=True)]
        strides = [side / step for side, step in zip(sides, windows.stride, strict=True)]
        if np.prod(sides) <= most or max(strides) <= 1:
            break
        counts[strides.index(max(strides))] += 1
    along = [[(a, min(a + side, n)) for a in range(0, n, side)] for n, side in zip(shape, sides, strict=True)]
    return [Box((z[0], y[0], x[0]), (z[1], y[1], x[1])) for z in along[0] for y in along[1] for x in along[2]]


def _around(boxes: Sequence[Box]) -> Box:
    starts = np.min([box.start for box in boxes], axis=0).tolist()
    stops = np.max([box.stop for box in boxes], axis=0).tolist()
    return Box(tuple(starts), tuple(stops))


def _shared(one: Box, other: Box) -> Box:
    """The voxels of both; its shape is not positive where there are none."""
    start = tuple(max(a, b) for a, b in zip(one.start, other.start, strict=True))
    stop = tuple(min(a, b) for a, b in zip(one.stop, other.stop, strict=True))
    return Box(start, stop)  # pyright: ignore[reportArgumentType]


def _with(box: Box, axis: int, start: int, stop: int) -> Box:
    starts, stops = list(box.start), list(box.stop)
    starts[axis], stops[axis] = start, stop
    return Box(tuple(starts), tuple(stops))  # pyright: ignore[reportArgumentType]


def _plain(voxels: np.ndarray) -> np.ndarray:
    """Voxels in a type that torch has."""
    return voxels.astype(np.float32) if voxels.dtype.name in ("uint16", "uint32", "uint64") else voxels


def _stored(probabilities: Tensor, dtype: Any) -> np.ndarray:
    if np.dtype(dtype) != np.uint8:
        return probabilities.numpy().astype(dtype)
    return probabilities.mul_(255).round_().clamp_(0, 255).to(torch.uint8).numpy()
