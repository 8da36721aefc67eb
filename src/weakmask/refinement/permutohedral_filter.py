"""Gaussian filter in a feature space of any dimension, on the permutohedral lattice.

Adams, Baek and Davis, Fast High-Dimensional Filtering Using the Permutohedral Lattice (2010). For colour images a
product of one-dimensional factors (`bilateral_filter`) would need thousands of columns; the lattice needs d + 1
vertices per pixel. Values are splatted onto the vertices around each pixel, blurred along the d + 1 lattice directions,
and sliced back. All three steps are weighted sums of rows; the row numbers are computed once, by sorting instead of
hashing.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag


class PermutohedralFilter:
    """Gaussian filter over the features of one batch."""

    def __init__(self, features: Float[Tensor, "batch dimensions points"]) -> None:
        """Build the lattice.

        Args:
            features: positions, colours ..., each divided by its sigma: the kernel is exp(-|f_i - f_j|^2 / 2).
        """
        batch, dimensions, points = features.shape
        remainder, rank, weights = _enclosing_simplex(features.movedim(1, 0).reshape(dimensions, -1).float())
        sample = torch.arange(batch, device=features.device).repeat_interleave(points)
        vertices, index, strides = _number_vertices(remainder, rank, sample)
        # Slicing reads d + 1 vertices per pixel. Splatting is its transpose: the pixels are sorted by vertex, and each
        # vertex sums its pixels.
        self._corners = index.int().view(-1, dimensions + 1)
        self._weights = weights.view(-1, dimensions + 1)
        order = torch.argsort(index)
        counts = torch.bincount(index, minlength=vertices.numel())
        self._starts = (counts.cumsum(0) - counts).int()
        self._pixels = (order // (dimensions + 1)).int()
        self._shares = weights[order]
        self._directions = _directions(vertices, strides)
        # The blur's weights (1/2, 1, 1/2) along d + 1 directions exceed a Gaussian of height 1 by the inverse of this.
        self._gain = 1 / (1 + 2.0**-dimensions)

    def __call__(self, values: Float[Tensor, "batch *space channels"]) -> Float[Tensor, "batch *space channels"]:
        """Sum over all points j of about exp(-|f_i - f_j|^2 / 2) values_j; channels last, no gradient."""
        with torch.no_grad():
            flat = values.reshape(-1, values.shape[-1])
            lattice = embedding_bag(self._pixels, flat, self._starts, mode="sum", per_sample_weights=self._shares)
            for vertices, weights in self._directions:
                lattice = embedding_bag(vertices, lattice, mode="sum", per_sample_weights=weights)
            sliced = embedding_bag(self._corners, lattice, mode="sum", per_sample_weights=self._weights)
        return sliced.mul_(self._gain).view(values.shape)


def _enclosing_simplex(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest remainder-0 vertex, rank of each coordinate, and weights of the d + 1 corners in order.

    The d-dimensional features are embedded in the hyperplane of d + 1 coordinates that add up to 0 (section 3 of the
    paper), scaled so that the lattice's blur has a standard deviation of 1 in each direction.
    """
    dimensions, points = features.shape
    corners = dimensions + 1
    raised = torch.empty(corners, points, device=features.device)
    total = torch.zeros(points, device=features.device)
    for axis in range(dimensions, 0, -1):
        scaled = features[axis - 1] * (math.sqrt(2 / 3) * corners / math.sqrt(axis * (axis + 1)))
        raised[axis] = total - axis * scaled
        total = total + scaled
    raised[0] = total
    nearest = torch.round(raised / corners)
    excess = nearest.sum(0).int()
    residual = raised - corners * nearest
    rank = excess.repeat(corners, 1)
    for a in range(corners):
        for b in range(a + 1, corners):
            later = (residual[a] < residual[b]).int()
            rank[a] += later
            rank[b] += 1 - later
    # Rounding may leave the hyperplane: the coordinates with the largest rounding errors are moved one step back.
    step = (rank < 0).int() - (rank >= corners).int()
    rank += corners * step
    nearest += step
    sorted_residual = torch.empty_like(residual).scatter_(0, rank.long(), raised / corners - nearest)
    weights = torch.empty(points, corners, device=features.device)
    weights[:, 0] = 1 + sorted_residual[dimensions] - sorted_residual[0]
    for corner in range(1, corners):
        weights[:, corner] = sorted_residual[dimensions - corner] - sorted_residual[corners - corner]
    return (nearest * corners).long(), rank, weights.flatten()


def _number_vertices(remainder: Tensor, rank: Tensor, sample: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sorted keys of all vertices, the numbers of each pixel's corners, and the strides that packed coordinates."""
    corners = remainder.shape[0]
    used = remainder[:-1]  # the last coordinate follows from the others
    # space for the corners of the outermost simplices and their neighbours
    low = used.amin(1, keepdim=True) - 2 * corners
    span = (used.amax(1, keepdim=True) + 2 * corners - low + 1).flatten().tolist()
    strides = [1]
    for length in reversed([*span[1:], 0][:-1]):
        strides.insert(0, strides[0] * length)
    if strides[0] * span[0] * (int(sample[-1]) + 1) >= 2**63:
        raise ValueError("the features span too many sigmas for one lattice; give larger sigmas or filter in pieces")
    base = sample * (strides[0] * span[0])
    for axis, stride in enumerate(strides):
        base = base + (used[axis] - low[axis]) * stride
    keys = torch.empty(base.numel(), corners, dtype=torch.long, device=base.device)
    for corner in range(corners):
        # corner k lies k steps up in every coordinate, but k - (d + 1) in the k coordinates of the highest rank
        shift = corner * sum(strides) + base
        for axis, stride in enumerate(strides):
            shift = shift - (rank[axis] > corners - 1 - corner) * (corners * stride)
        keys[:, corner] = shift
    vertices, index = torch.unique(keys.flatten(), return_inverse=True)
    return vertices, index, torch.tensor(strides, device=base.device)


def _directions(vertices: Int[Tensor, " n"], strides: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For every lattice direction, each vertex with its two neighbours and the blur's weights (0 for no neighbour)."""
    corners = len(strides) + 1
    own = torch.arange(len(vertices), device=vertices.device)
    found = []
    for direction in range(corners):
        step = strides.sum() - (corners * strides[direction] if direction < corners - 1 else 0)
        trio, weights = [own], [torch.ones_like(own, dtype=torch.float32)]
        for neighbour in (vertices - step, vertices + step):
            place = torch.searchsorted(vertices, neighbour).clamp_(max=len(vertices) - 1)
            trio.append(place)
            weights.append(0.5 * (vertices[place] == neighbour))
        found.append((torch.stack(trio, dim=1).int(), torch.stack(weights, dim=1)))
    return found
