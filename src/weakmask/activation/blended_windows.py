"""Positions and weights of overlapping windows whose answers are averaged with more weight in their middle.

Li et al. 2021 (arXiv 2104.07961), as in the released code: the weight is exp(-r^2 / (2 * 0.2^2)) + 1e-4, where r is the
distance from the middle in a window of [-1, 1]^3.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weakmask.volume.geometry import Box, Index3

SIGMA, FLOOR = 0.2, 1e-4


@dataclass(frozen=True)
class Windows:
    """A grid of windows over a volume; all attributes are voxels along z, y and x.

    Windows start at `-padding` and step by `stride` until they reach `padding` beyond the volume. Voxels outside the
    volume are mirrored ones. The paper's code has a stride of one section, which is the same as any other where the
    window holds all sections; the default is half a window (O).

    Attributes:
        size: Of a window.
        stride: From one window to the next, at most the size.
        padding: How far windows reach over the faces of the volume.

    Raises:
        ValueError: A size or stride is not positive, a stride is larger than its window, or a padding is negative.
    """

    size: Index3 = (32, 256, 256)
    stride: Index3 = (16, 128, 128)
    padding: Index3 = (0, 128, 128)

    def __post_init__(self) -> None:
        """Check the numbers."""
        wrong = any(not 0 < step <= side for step, side in zip(self.stride, self.size, strict=True))
        if wrong or min(self.padding) < 0:
            raise ValueError(f"{self}: expected strides from 1 to the size of a window, and no negative padding")

    def starts(self, shape: Index3, axis: int) -> range:
        """First voxels of the windows along an axis."""
        size, step, around = self.size[axis], self.stride[axis], self.padding[axis]
        count = max(0, -(-(shape[axis] + 2 * around - size) // step)) + 1
        return range(-around, -around + count * step, step)

    def extent(self, shape: Index3) -> Box:
        """The box that all windows together cover."""
        ends = [(starts[0], starts[-1]) for starts in (self.starts(shape, axis) for axis in range(3))]
        (z0, z1), (y0, y1), (x0, x1) = ends
        z, y, x = self.size
        return Box((z0, y0, x0), (z1 + z, y1 + y, x1 + x))

    def meeting(self, shape: Index3, block: Box) -> Iterator[Box]:
        """The windows that share voxels with a block."""
        along = []
        for axis in range(3):
            starts = self.starts(shape, axis)
            reach = range(block.start[axis] - self.size[axis] + 1, block.stop[axis])
            along.append([start for start in starts if start in reach])
        for z, y, x in itertools.product(*along):
            yield Box((z, y, x), (z + self.size[0], y + self.size[1], x + self.size[2]))

    def weights(self) -> np.ndarray:
        """Weight of each voxel of a window, float32 (z, y, x)."""
        z, y, x = (_bell(side) for side in self.size)
        return (z[:, None, None] * y[:, None] * x + FLOOR).astype(np.float32)

    def total(self, shape: Index3, block: Box) -> np.ndarray:
        """Sum of the weights of all windows at each voxel of a block, float32 (z, y, x).

        A weight is a product over the axes and a constant, so the sum over a grid of windows is one as well.
        """
        bells, counts = [], []
        for axis, side in enumerate(self.size):
            length = block.stop[axis] - block.start[axis]
            bell, count, one = np.zeros(length), np.zeros(length), _bell(side)
            for start in self.starts(shape, axis):
                low, high = max(start, block.start[axis]), min(start + side, block.stop[axis])
                if low < high:
                    bell[low - block.start[axis] : high - block.start[axis]] += one[low - start : high - start]
                    count[low - block.start[axis] : high - block.start[axis]] += 1
            bells.append(bell)
            counts.append(count)
        both = [(parts[0][:, None, None] * parts[1][:, None] * parts[2]) for parts in (bells, counts)]
        return (both[0] + FLOOR * both[1]).astype(np.float32)


def _bell(side: int) -> np.ndarray:
    """A Gaussian along one axis of a window of [-1, 1]."""
    place = np.linspace(-1, 1, side) if side > 1 else np.zeros(1)
    return np.exp(-(place**2) / (2 * SIGMA**2))
