"""Second derivatives of a smoothed volume, and their eigenvalues in closed form.

Derivatives are separable: along each axis a matrix that smooths and differentiates. The matrices are banded, so a
product takes only the rows that the kernel reaches, and slabs along the first axis keep the memory bounded.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

# Voxels of a slab: its dozen arrays stay in the processor's last cache.
_SLAB = 2**18
_BLOCK = 32  # rows of a matrix applied at once


def hessian_slabs(
    image: Float[Tensor, "*space"], sigma_mm: float, spacing_mm: Sequence[float]
) -> Iterator[tuple[slice, dict[tuple[int, int], Tensor]]]:
    """The Hessian of the image smoothed with a Gaussian, slab by slab along the first axis.

    Each derivative is two Gaussian derivatives of order one at sigma / sqrt(2), one after the other, as in
    scikit-image's `hessian_matrix(use_gaussian_derivatives=True)`, with the same reflecting border.

    Args:
        image: 2-D or 3-D, float32 or float64.
        sigma_mm: of the whole smoothing, above 0.
        spacing_mm: of the grid, one per axis.

    Yields:
        The slab's place along the first axis, and the second derivative for each pair of axes i <= j, per mm^2.
    """
    matrices = [
        _axis_matrices(n, sigma_mm / step, image.device, image.dtype)
        for n, step in zip(image.shape, spacing_mm, strict=True)
    ]
    depth = max(1, _SLAB // max(1, image[0].numel()))
    for start in range(0, image.shape[0], depth):
        slab = slice(start, min(start + depth, image.shape[0]))
        hessian = _separable(image, slab, matrices)
        for (i, j), derivative in hessian.items():
            derivative.mul_(1 / (spacing_mm[i] * spacing_mm[j]))
        yield slab, hessian


def _separable(image: Tensor, slab: slice, matrices: list["dict[str, Banded]"]) -> dict[tuple[int, int], Tensor]:
    """All second derivatives in a slab, sharing the partial products: first axis first."""
    axes = range(image.dim())
    # what each pair of axes asks of one axis: smooth twice, differentiate first or second, or both times
    asked = {
        (i, j): tuple("dd" if i == j == k else "dg" if k == i else "gd" if k == j else "gg" for k in axes)
        for i in axes
        for j in range(i, image.dim())
    }
    done: dict[tuple[str, ...], Tensor] = {(): image}
    for axis in axes:
        done = {
            orders: matrices[axis][orders[-1]](done[orders[:-1]], axis, slab if axis == 0 else None)
            for orders in dict.fromkeys(wanted[: axis + 1] for wanted in asked.values())
        }
    return {pair: done[orders] for pair, orders in asked.items()}


class Banded:
    """A square matrix whose rows reach only a few columns."""

    def __init__(self, matrix: np.ndarray, device: torch.device, dtype: torch.dtype) -> None:
        """Find the band."""
        negligible = torch.finfo(dtype).eps * np.abs(matrix).max()  # a sum would not see it
        rows, columns = np.nonzero(np.abs(matrix) > negligible)
        self._reach = int(np.abs(rows - columns).max(initial=0))
        self._matrix = torch.from_numpy(matrix).to(device, dtype)

    def __call__(self, values: Tensor, axis: int, rows: slice | None = None) -> Tensor:
        """The matrix along one axis of the values; `rows` asks for a part of the result only."""
        length = len(self._matrix)
        start, stop = (0, length) if rows is None else (rows.start, rows.stop)
        last = axis == values.dim() - 1
        matrices = values.reshape(-1, length) if last else values.reshape(-1, length, values.shape[axis + 1 :].numel())
        out = matrices.new_empty(*values.shape[:axis], stop - start, *values.shape[axis + 1 :])
        flat = out.view(-1, stop - start) if last else out.view(len(matrices), stop - start, -1)
        for a in range(start, stop, _BLOCK):
            b = min(a + _BLOCK, stop)
            low, high = max(0, a - self._reach), min(length, b + self._reach)
            block = self._matrix[a:b, low:high]
            if last:
                flat[:, a - start : b - start] = matrices[:, low:high] @ block.T
            else:
                torch.matmul(block, matrices[:, low:high], out=flat[:, a - start : b - start])
        return out


@lru_cache(maxsize=32)
def _axis_matrices(length: int, sigma: float, device: torch.device, dtype: torch.dtype) -> dict[str, Banded]:
    """Two passes along one axis, named first pass then second: g smooths, d differentiates."""
    half = sigma / math.sqrt(2)
    truncate = 8 if sigma > 1 else 100  # a narrow kernel is a slowly falling sinc
    g, d = (
        ndimage.gaussian_filter1d(np.eye(length), half, axis=0, order=order, mode="reflect", truncate=truncate)
        for order in (0, 1)
    )
    passes = {"gg": g @ g, "dg": g @ d, "gd": d @ g, "dd": d @ d}
    return {name: Banded(matrix, device, dtype) for name, matrix in passes.items()}


def eigenvalues_by_magnitude(hessian: dict[tuple[int, int], Tensor]) -> tuple[Tensor, ...]:
    """Eigenvalues of symmetric 2 x 2 or 3 x 3 matrices, |l1| <= |l2| (<= |l3|), in closed form.

    For 3 x 3 the trigonometric solution of the characteristic cubic. In float32 two eigenvalues that nearly coincide
    are off by up to about 1e-3 of the largest; a zero matrix has zeros.

    Args:
        hessian: entry (i, j) for i <= j, all of one shape.
    """
    found = _eigenvalues_of_two(hessian) if len(hessian) == 3 else _eigenvalues_of_three(hessian)
    return _sorted_by_magnitude(found)


def _eigenvalues_of_two(h: dict[tuple[int, int], Tensor]) -> list[Tensor]:
    middle = (h[0, 0] + h[1, 1]) / 2
    radius = torch.hypot((h[0, 0] - h[1, 1]) / 2, h[0, 1])
    return [middle - radius, middle + radius]


def _eigenvalues_of_three(h: dict[tuple[int, int], Tensor]) -> list[Tensor]:
    mean = (h[0, 0] + h[1, 1]).add_(h[2, 2]).mul_(1 / 3)
    a, b, c = h[0, 0] - mean, h[1, 1] - mean, h[2, 2] - mean
    d, e, f = h[0, 1], h[0, 2], h[1, 2]
    dd, ee, ff = d * d, e * e, f * f
    radius = (a * a).addcmul_(b, b).addcmul_(c, c).add_(dd + ee + ff, alpha=2).mul_(1 / 6).sqrt_()
    # det(A - mean I) / 2, then over radius^3: the cosine of three times the angle
    half = (b * c).sub_(ff).mul_(a)
    half.sub_(dd.mul_(c)).sub_(ee.mul_(b)).addcmul_(d * e, f, value=2).mul_(0.5)
    cube = (radius * radius).mul_(radius).clamp_min_(torch.finfo(radius.dtype).tiny)
    angle = half.div_(cube).clamp_(-1, 1).acos_().mul_(1 / 3)
    radius.mul_(2)
    largest = torch.cos(angle).mul_(radius).add_(mean)
    smallest = angle.add_(2 * math.pi / 3).cos_().mul_(radius).add_(mean)
    middle = mean.mul_(3).sub_(largest).sub_(smallest)
    return [smallest, middle, largest]


def _sorted_by_magnitude(values: list[Tensor]) -> tuple[Tensor, ...]:
    """From ascending order: only neighbours at the ends can have the larger magnitude."""
    order: list[tuple[int, int]] = [(0, 1), (1, 2), (0, 1)] if len(values) == 3 else [(0, 1)]
    for i, j in order:
        swap = values[i].abs() > values[j].abs()
        values[i], values[j] = torch.where(swap, values[j], values[i]), torch.where(swap, values[i], values[j])
    return tuple(values)
