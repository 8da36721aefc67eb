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
from weakmask.volume.tiles import cut_mirrored, even_side, rounded_up, same_tiles, within

Network = Callable[[Tensor], Tensor]  # voxels (batch, 1, z, y, x), float32 -> probabilities (batch, channel, z, y, x)
WINDOWS = Windows()


@dataclass(frozen=True)
class BlendingWork:
    """Device and memory of the computation.

    Attributes:
        memory_gb: For the sums of one block, in GiB; the maps of the network on one batch come in addition.
        batch: Windows that the network takes at once; of smaller parts it takes as many as have their voxels. On a CPU,
            torch computes a batch of one with slower kernels where a layer has few channels.
        device: Device name of torch.
    """

    memory_gb: float = 0.5
    batch: int = 1
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
        network: Takes windows (batch, 1, z, y, x) of raw voxels as float32 and returns probabilities (batch, channel,
            z, y, x); no gradients are recorded.
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
    bands = _Bands.of(reach, windows, shape)
    weights = torch.from_numpy(windows.weights())
    for block in track(blocks, "segment", len(blocks)):
        part = _Block(network, scan, windows, channels, block, work)
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
    def of(cls, reach: Reach | None, windows: Windows, shape: Index3) -> "_Bands | None":
        """The bands of a network, or None where computing whole windows is less work or the only way."""
        if reach is None or reach.margin is None or reach.valid_loss:
            return None
        axes = [(max(one.margin or 0, 1), one.multiple) for one in map(reach.along, range(3))]
        (mz, gz), (my, gy), (mx, gx) = ((rounded_up(margin, grid), grid) for margin, grid in axes)
        bands = cls((mz, my, mx), (gz, gy, gx))
        numbers = zip((windows.size, windows.stride, windows.padding), (bands.grid,) * 3, strict=True)
        aligned = all(n % grid == 0 for row, grids in numbers for n, grid in zip(row, grids, strict=True))
        if not aligned or any(4 * margin > side for margin, side in zip(bands.margin, windows.size, strict=True)):
            return None
        return bands if bands.work(windows, shape) < 1 else None

    def work(self, windows: Windows, shape: Index3) -> float:
        """Voxels that the network computes for one pass and the bands, in terms of those of all windows."""
        extent = np.array(windows.extent(shape).shape)
        counts = np.array([len(windows.starts(shape, axis)) for axis in range(3)])
        size, margin = np.array(windows.size), np.array(self.margin)
        once = np.prod(extent * (1 + 2 * margin / size)) / np.prod(counts * size)
        return float(once + np.sum(4 * margin * (counts - 1) / (counts * size)))


@dataclass(frozen=True)
class _Block:
    """The computation of one block."""

    network: Network
    scan: Planes
    windows: Windows
    channels: int
    block: Box
    work: BlendingWork

    def all_windows(self, weights: Tensor) -> Tensor:
        """Every window computed as a whole."""
        chosen = list(self._chosen())
        outer = _around(chosen)
        voxels = self._voxels(outer)
        sums = torch.zeros((self.channels, *self.block.shape))
        for number, whole in self._answers(voxels, [within(window, outer) for window in chosen]):
            shared = _shared(chosen[number], self.block)
            part = within(shared, chosen[number])
            sums[(..., *within(shared, self.block))].addcmul_(whole[(..., *part)], weights[part])
        for plane in range(self.block.start[0], self.block.stop[0]):
            box = _with(self.block, 0, plane, plane + 1)
            sums[(..., *within(box, self.block))].div_(self._total(box))
        return sums

    def one_pass_and_bands(self, weights: Tensor, bands: _Bands) -> Tensor:
        """One pass over the block, and what the windows differ from it in the bands along their faces."""
        chosen = list(self._chosen())
        extent = self.windows.extent(self._shape)
        near = _shared(_on_grid(self.block, extent, bands.grid).grown(bands.margin), extent)
        outer = _around([near, *chosen])
        voxels = self._voxels(outer)
        once = self._one_pass(voxels[within(near, outer)], bands)
        sums = once[(..., *within(self.block, near))].clone()
        jobs = [(window, *both) for window in chosen for both in _bands_of(window, extent, bands)]
        jobs = [(window, slab, _shared(band, self.block)) for window, slab, band in jobs]
        jobs = [
            (window, _shared(_on_grid(band.grown(bands.margin), extent, bands.grid), slab), band)
            for window, slab, band in jobs
            if min(band.shape) > 0
        ]
        for number, answer in self._answers(voxels, [within(slab, outer) for _, slab, _ in jobs]):
            window, slab, band = jobs[number]
            change = answer[(..., *within(band, slab))] - once[(..., *within(band, near))]
            share = weights[within(band, window)] / self._total(band)
            sums[(..., *within(band, self.block))].addcmul_(change, share)
        return sums

    @property
    def _shape(self) -> Index3:
        return tuple(self.scan.shape)  # pyright: ignore[reportReturnType]

    def _total(self, box: Box) -> Tensor:
        """Sum of the weights of all windows at each voxel of a box."""
        return torch.from_numpy(self.windows.total(self._shape, box))

    def _chosen(self) -> Iterator[Box]:
        return self.windows.meeting(self._shape, self.block)

    def _voxels(self, outer: Box) -> Tensor:
        """The surroundings of the block, in the scan's type."""
        return torch.from_numpy(np.ascontiguousarray(_plain(cut_mirrored(self.scan, outer))))

    def _one_pass(self, voxels: Tensor, bands: _Bands) -> Tensor:
        """The network on a box of voxels, each voxel once, in tiles of at most a window and margins."""
        once = torch.zeros((self.channels, *voxels.shape))
        shape: Index3 = tuple(voxels.shape)  # pyright: ignore[reportAssignmentType]
        z, y, x = (-(-n // side) for n, side in zip(shape, self.windows.size, strict=True))
        side = even_side(shape, (z, y, x), bands.grid, (0, 0, 0))  # equal tiles share a batch
        tiles = same_tiles(shape, side, bands.margin, bands.grid)
        for number, answer in self._answers(voxels, [tile.read.slices for tile in tiles]):
            tile = tiles[number]
            once[(..., *tile.write.slices)] = answer[(..., *within(tile.write, tile.read))]
        return once

    def _answers(self, voxels: Tensor, places: Sequence[tuple[slice, ...]]) -> Iterator[tuple[int, Tensor]]:
        """(number, answer (channel, z, y, x)) of the network on each place, in batches of equal shapes."""
        most = self.work.batch * int(np.prod(self.windows.size))
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, place in enumerate(places):
            groups.setdefault(tuple(part.stop - part.start for part in place), []).append(number)
        for shape, numbers in groups.items():
            count = max(1, most // int(np.prod(shape)))
            for start in range(0, len(numbers), count):
                batch = numbers[start : start + count]
                answers = self._run(torch.stack([voxels[places[number]] for number in batch])[:, None])
                yield from zip(batch, answers, strict=True)

    def _run(self, batch: Tensor) -> Tensor:
        """The network on a batch (batch, 1, z, y, x)."""
        with torch.inference_mode():
            answers = self.network(batch.to(self.work.device, torch.float32))
        expected = (len(batch), self.channels, *batch.shape[2:])
        if tuple(answers.shape) != expected:
            raise ValueError(f"the network's answer has the shape {tuple(answers.shape)}; expected {expected}")
        return answers.float().cpu()


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
    """Blocks that cover the volume and fit into memory, as few as possible.

    Sides are multiples of the stride, at least one: then the fewest windows meet several blocks, each of which computes
    them again.
    """
    most = memory_gb * 2**30 / (8 * channels + 8)  # one pass and sums in float32, the voxels around, the result
    counts = [1, 1, 1]
    while True:
        along_axes = zip(shape, counts, windows.stride, strict=True)
        sides = [min(n, rounded_up(-(-n // count), step)) for n, count, step in along_axes]
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
