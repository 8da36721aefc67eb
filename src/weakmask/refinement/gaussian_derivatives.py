"""Gaussian smoothing and Gaussian derivatives along one axis, as banded matrices.

A matrix holds two passes of a filter with sigma / sqrt(2), so that a second derivative is two first derivatives in
sequence, as in scikit-image and SciPy, each with a reflecting border. The product of a matrix and an image is computed
for blocks of rows and the columns within their reach.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

# Two passes, first then second: g smooths, d differentiates. Away from the border "gd" and "dg" are equal.
PASSES = ("gg", "gd", "dg", "dd")
_BLOCK = 16  # rows of a matrix applied at once: fewer waste less at the corners of the band, more use the CPU better


class AxisDerivatives:
    """Gaussian derivatives along one axis."""

    def __init__(self, matrices: Tensor, reach: int) -> None:
        """Take matrices (pass, length, length) whose entries lie within `reach` of the diagonal."""
        self._matrices, self._reach = matrices, reach
        self._length = matrices.shape[-1]
        self._blocks = {name: [self._block(k, row) for row in self._starts()] for k, name in enumerate(PASSES)}

    def from_front(self, values: Tensor, passes: Sequence[str], rows: slice) -> Tensor:
        """Contract the first axis of (length, *rest); returns (pass, rows, *rest)."""
        columns = self._columns(rows.start, rows.stop)
        stacked = self._matrices[[PASSES.index(name) for name in passes], rows, columns].flatten(0, 1)
        return (stacked @ values[columns].flatten(1)).view(len(passes), -1, *values.shape[1:])

    def from_back(self, values: Tensor, name: str, out: Tensor) -> None:
        """Contract the last axis of contiguous (*rest, length) into `out`, (length, *rest)."""
        turned = values.view(-1, self._length).T
        for (columns, block), result in zip(self._blocks[name], out.view(self._length, -1).split(_BLOCK), strict=True):
            torch.mm(block, turned[columns], out=result)

    def _starts(self) -> range:
        return range(0, self._length, _BLOCK)

    def _block(self, index: int, start: int) -> tuple[slice, Tensor]:
        columns = self._columns(start, start + _BLOCK)
        return columns, self._matrices[index, start : start + _BLOCK, columns].contiguous()

    def _columns(self, start: int, stop: int) -> slice:
        return slice(max(0, start - self._reach), min(self._length, stop + self._reach))


@lru_cache(maxsize=32)
def axis_derivatives(
    length: int, sigma: float, spacing: float, device: torch.device, dtype: torch.dtype
) -> AxisDerivatives:
    """Derivatives along an axis, per unit of length.

    Args:
        length: voxels.
        sigma: of both passes together, above 0, in the unit of `spacing`.
        spacing: of the voxels.
        device: of the matrices.
        dtype: of the matrices; kernel tails below its precision are left out.
    """
    shared = min(length, 2 * math.ceil(13 * sigma / spacing) + 5)  # 13 sigma: where double precision ends
    half = sigma / spacing / math.sqrt(2)
    truncate = 8 if sigma > spacing else 100  # as scikit-image does
    g, d = (
        ndimage.gaussian_filter1d(np.eye(shared), half, axis=0, order=order, mode="reflect", truncate=truncate)
        for order in (0, 1)
    )
    d /= spacing
    small = np.stack([g @ g, d @ g, g @ d, d @ d])
    small[np.abs(small) < torch.finfo(dtype).eps * np.abs(small).max(axis=(1, 2), keepdims=True)] = 0
    _, rows, columns = np.nonzero(small)
    matrices = torch.from_numpy(_stretched(small, length)).to(device, dtype)
    return AxisDerivatives(matrices, int(np.abs(rows - columns).max(initial=0)))


def _stretched(small: np.ndarray, length: int) -> np.ndarray:
    """Matrices for a longer axis: the borders are kept and the middle row is repeated along the diagonal."""
    side = small.shape[-1]
    middle = side // 2
    large = np.zeros((len(small), length, length))
    for row in range(length):
        start = min(max(0, row - middle), length - side)
        large[:, row, start : start + side] = small[:, row - start]
    return large
