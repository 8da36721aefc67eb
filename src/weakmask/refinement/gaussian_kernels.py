"""Gaussian kernels along one axis, as full matrices or as thin factors.

A Gaussian kernel matrix over n points has few eigenvalues of relevant size: about as many as the points span sigmas. A
thin matrix F therefore satisfies F F^T = K up to a tolerance, and a filter with K costs two products with thin
matrices. A kernel over several axes is a product of one-dimensional ones, so the factors are applied axis by axis.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

# Nodes of the low-rank approximation per sigma: two suffice for every tolerance above float32 rounding.
_NODES_PER_SIGMA = 2
# Longer axes are cut into blocks: a Gaussian reaches only a few sigmas, so a dense matrix would be mostly zeros.
_BLOCK = 32
# At this number of channels a convolution over channels becomes faster than matrix products along the axis.
_MANY_CHANNELS = 8


def kernel(a: Float[Tensor, " n"], b: Float[Tensor, " m"], sigma: float) -> Float[Tensor, "n m"]:
    """exp(-(a - b)^2 / (2 sigma^2)) for all pairs; sigma 0 is its limit, 1 where a equals b and 0 elsewhere."""
    distance = a[:, None] - b[None, :]
    if sigma == 0:
        return (distance == 0).to(a.dtype)
    return torch.exp(-0.5 * (distance / sigma) ** 2)


def thin_factor(points: Float[Tensor, " n"], sigma: float, tolerance: float) -> Float[Tensor, "n rank"]:
    """F with F F^T = kernel(points, points, sigma) up to about `tolerance`.

    Nystroem's approximation on nodes that lie evenly between the smallest and the largest point, cut to the eigenvalues
    above `tolerance` times the largest.

    Args:
        points: positions or intensities, in the unit of sigma.
        sigma: above 0.
        tolerance: largest error of an entry, roughly; entries lie in [0, 1].

    Returns:
        float32 factor on the device of `points`; its rank grows with the range in sigmas.
    """
    points = points.double()
    low, high = points.min().item(), points.max().item()
    count = max(2, math.ceil((high - low) / sigma * _NODES_PER_SIGMA) + 1)
    if high == low:
        return torch.ones(len(points), 1, device=points.device)
    nodes = torch.linspace(low, high, count, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(kernel(nodes, nodes, sigma))
    kept = values > tolerance * values[-1]
    scale = (vectors[:, kept] / values[kept].sqrt()).to(points.device)
    return (kernel(points, nodes.to(points.device), sigma) @ scale).float()


@lru_cache(maxsize=64)
def axis_factor(length: int, sigma: float, tolerance: float, device: torch.device) -> Float[Tensor, "length rank"]:
    """Thin factor of the kernel over the voxels 0 ... length - 1 of one axis; sigma in voxels, 0 is the identity."""
    if sigma == 0:
        return torch.eye(length, device=device)
    factor = thin_factor(torch.arange(length, dtype=torch.float64), sigma, tolerance)
    # Matrix products are faster at even ranks, so a column of zeros is added to odd ones.
    return torch.nn.functional.pad(factor, (0, factor.shape[1] % 2)).to(device)


def gaussian_filter(
    values: Float[Tensor, "batch *space channels"], sigmas: tuple[float, ...], tolerance: float
) -> Float[Tensor, "batch *space channels"]:
    """Sum of exp(-d^2 / (2 sigma^2)) times the values of all voxels: not normalised, and zero outside the grid.

    Args:
        values: one axis of samples, as many axes of space as there are sigmas, one axis of channels.
        sigmas: one per axis of space, in voxels; 0 leaves the axis unchanged.
        tolerance: smaller entries of a long axis' kernel are set to 0.

    Returns:
        A tensor of the same shape.
    """
    for position, sigma in enumerate(sigmas):
        axis = 1 + position
        length = values.shape[axis]
        if sigma == 0 or length == 1:
            continue
        if values.shape[-1] >= _MANY_CHANNELS:
            values = _convolve(values, axis, sigma, tolerance)
        else:
            # the axes before this one are a batch of matrices, the axes after it their columns
            matrices = values.reshape(-1, length, values.shape[axis + 1 :].numel())
            values = _filter_rows(matrices, sigma, tolerance).view(values.shape)
    return values


def _reach(sigma: float, tolerance: float) -> int:
    return math.ceil(sigma * math.sqrt(-2 * math.log(tolerance)))


def _convolve(values: Tensor, axis: int, sigma: float, tolerance: float) -> Tensor:
    """Convolve along one axis of (batch, *space, channels), vectorised over the channels."""
    reach, channels = _reach(sigma, tolerance), values.shape[-1]
    length, behind = values.shape[axis], values.shape[axis + 1 : -1].numel()
    # the convolution is fastest along the rows of the picture, which is possible for the last axis only
    rows = behind == 1
    pictures = values.reshape(1, -1, length, channels) if rows else values.reshape(-1, length, behind, channels)
    taps = _axis_taps(reach, sigma, values.device).view(1, 1, *((1, -1) if rows else (-1, 1)))
    convolved = torch.nn.functional.conv2d(
        pictures.movedim(-1, 1),
        taps.expand(channels, -1, -1, -1),
        padding=(0, reach) if rows else (reach, 0),
        groups=channels,
    )
    return convolved.movedim(1, -1).reshape(values.shape)


def _filter_rows(matrices: Tensor, sigma: float, tolerance: float) -> Tensor:
    """K @ matrix for each of (batch, length, columns)."""
    length, columns = matrices.shape[1:]
    reach = _reach(sigma, tolerance)
    block = max(_BLOCK, reach)
    if length <= 2 * (block + reach):
        matrix = _axis_kernel(length, sigma, matrices.device)
        # one column: the product with the transposed (symmetric) kernel is one large product instead of many thin ones
        return (matrices[:, :, 0] @ matrix)[:, :, None] if columns == 1 else matrix @ matrices
    blocks = -(-length // block)
    padded = torch.nn.functional.pad(matrices, (0, 0, reach, blocks * block - length + reach))
    windows = padded.unfold(1, block + 2 * reach, block)  # batch, blocks, columns, inputs: overlapping views
    small = _block_kernel(block, reach, sigma, matrices.device)
    filtered = windows[:, :, 0] @ small if columns == 1 else small.T @ windows.mT
    return filtered.reshape(matrices.shape[0], -1, columns)[:, :length].contiguous()


@lru_cache(maxsize=64)
def _axis_taps(reach: int, sigma: float, device: torch.device) -> Tensor:
    points = torch.arange(-reach, reach + 1, dtype=torch.float64)
    return kernel(points, points.new_zeros(1), sigma)[:, 0].float().to(device)


@lru_cache(maxsize=64)
def _axis_kernel(length: int, sigma: float, device: torch.device) -> Tensor:
    points = torch.arange(length, dtype=torch.float64)
    return kernel(points, points, sigma).float().to(device)


@lru_cache(maxsize=64)
def _block_kernel(block: int, reach: int, sigma: float, device: torch.device) -> Tensor:
    inputs = torch.arange(-reach, block + reach, dtype=torch.float64)
    outputs = torch.arange(block, dtype=torch.float64)
    return kernel(inputs, outputs, sigma).float().to(device)
