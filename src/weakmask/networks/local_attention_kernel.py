"""Forward and backward pass of local attention, one run of rows at a time.

The weights of all neighbours exist for one run of rows only. The backward pass recomputes them from the stored
logarithm of their sum, as flash attention does (Dao et al. 2022, arXiv 2205.14135). Exponentials are taken to the
base 2, several times faster than to the base e on a CPU.

    averages = LocalAttentionFunction.apply(queries, keys, values, Affinity())
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from weakmask.networks.neighbour_grid import NeighbourGrid
from weakmask.networks.one_thread import one_thread

# Voxels per run: on a CPU the weights of a run stay in its caches, a GPU is fully occupied.
_RUN_ON_CPU = 2**16
_RUN_ELSEWHERE = 2**19
_LOG2_E = math.log2(math.e)


@dataclass(frozen=True)
class Affinity:
    """Affinity of voxel i and its neighbour j: exp(scale * q_i . k_j), or exp(scale * relu(q_i . k_j)).

    Attributes:
        include_self: Whether a voxel is its own neighbour.
        rectify: Whether relu is taken.
        scale: Not negative.
    """

    include_self: bool = True
    rectify: bool = False
    scale: float = 1.0

    def logits(self, grid: NeighbourGrid, query: Tensor, key: Tensor, start: int, out: Tensor) -> None:
        """Write the binary logarithms of the affinities of a run; minus infinity where there is no neighbour.

        Args:
            grid: The grid of neighbours.
            query: (embedding, run), multiplied by scale and log2(e).
            key: (embedding, slab).
            start: The run's first voxel.
            out: (neighbour, run), overwritten.
        """
        _products(grid, query, key, out)
        if self.rectify:
            out.clamp_(min=0)
        grid.forbid(out, start, itself=not self.include_self)


def _products(grid: NeighbourGrid, one: Tensor, other: Tensor, out: Tensor) -> None:
    """out[s, i] = sum over channels c of one[c, i] * other[c, i + s]."""
    for family, window in zip(grid.split(out), grid.windows(other), strict=True):
        torch.mul(one[0], window[0], out=family)
        for channel, neighbour in zip(one[1:], window[1:], strict=True):
            family.addcmul_(channel, neighbour)


class _Runs:
    """The runs of a sample, and scratch memory for two numbers per voxel and neighbour of one run."""

    def __init__(self, grid: NeighbourGrid, like: Tensor) -> None:
        self.grid = grid
        self.bounds = list(grid.runs(_RUN_ON_CPU if like.device.type == "cpu" else _RUN_ELSEWHERE))
        self.neighbours = len(grid.distances)
        self.memory = like.new_empty(2, self.neighbours * max(stop - start for start, stop in self.bounds))

    def scratch(self, voxels: int) -> tuple[Tensor, Tensor]:
        """Two uninitialised tensors (neighbour, run)."""
        size = self.neighbours * voxels
        one, other = self.memory[:, :size].unflatten(1, (self.neighbours, voxels))
        return one, other


def _average(runs: _Runs, affinity: Affinity, given: Sequence[Tensor], averages: Tensor, log_sums: Tensor) -> None:
    """Compute the averages (channel, voxel) and the binary logarithms of the sums of affinities (voxel) of a sample."""
    grid = runs.grid
    q, k, v = given
    for start, stop in runs.bounds:
        weights, products = runs.scratch(stop - start)
        query = q[:, start:stop] * (affinity.scale * _LOG2_E)
        affinity.logits(grid, query, grid.slab(k, start, stop), start, weights)
        largest = weights.amax(0)
        total = weights.sub_(largest).exp2_().sum(0)
        torch.add(largest, total.log2(), out=log_sums[start:stop])
        windows = grid.windows(grid.slab(v, start, stop))
        for channel, average in enumerate(averages[:, start:stop]):
            for part, weight, window in zip(grid.split(products), grid.split(weights), windows, strict=True):
                torch.mul(weight, window[channel], out=part)
            torch.sum(products, 0, out=average).div_(total)


def _differentiate(
    runs: _Runs, affinity: Affinity, given: Sequence[Tensor], log_sums: Tensor, gradients: Sequence[Tensor]
) -> None:
    """Add to the gradients of a sample's queries, keys and values; the last two are `reach` longer at both ends.

    `given` holds queries, keys, values, averages and the gradient of the averages. The gradient of the queries must
    still be multiplied by scale * log2(e).
    """
    grid = runs.grid
    q, k, v, averages, slope_of_averages = given
    by_q, by_k, by_v = gradients
    for start, stop in runs.bounds:
        weights, slopes = runs.scratch(stop - start)
        query = q[:, start:stop] * (affinity.scale * _LOG2_E)
        key = grid.slab(k, start, stop)
        affinity.logits(grid, query, key, start, weights)
        rectified = (weights > 0) if affinity.rectify else None
        weights.sub_(log_sums[start:stop]).exp2_()
        # d logit_j = weight_j (v_j - average) . d average; to the base 2, as the logits are
        slope = slope_of_averages[:, start:stop]
        slope_2 = slope * math.log(2)
        _products(grid, slope_2, grid.slab(v, start, stop), slopes)
        slopes.sub_((slope_2 * averages[:, start:stop]).sum(0)).mul_(weights)
        if rectified is not None:
            slopes.mul_(rectified)
        for distance, neighbour_slope, neighbour_weight in zip(grid.distances, slopes, weights, strict=True):
            in_slab = slice(grid.reach + distance, grid.reach + distance + stop - start)
            in_grid = slice(in_slab.start + start, in_slab.stop + start)
            by_q[:, start:stop].addcmul_(key[:, in_slab], neighbour_slope)
            by_k[:, in_grid].addcmul_(query, neighbour_slope)
            by_v[:, in_grid].addcmul_(slope, neighbour_weight)


class LocalAttentionFunction(torch.autograd.Function):
    """sum_j a_ij v_j / sum_j a_ij over the neighbours j of i; tensors are (batch, channel, *space)."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, affinity: Affinity) -> Tensor:
        """Average the values; see `local_attention`."""
        with one_thread(queries.device):
            q, k, v = _flat(queries, keys, values)
            averages, log_sums = torch.empty_like(v), torch.empty_like(q[:, 0])
            runs = _Runs(NeighbourGrid.of(queries.shape[2:]), q)
            for sample in range(len(q)):
                _average(runs, affinity, (q[sample], k[sample], v[sample]), averages[sample], log_sums[sample])
        ctx.save_for_backward(queries, keys, values, averages, log_sums)
        ctx.affinity = affinity
        return averages.unflatten(2, values.shape[2:]).to(values.dtype)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of queries, keys and values."""
        *inputs, averages, log_sums = ctx.saved_tensors
        affinity: Affinity = ctx.affinity
        grid = NeighbourGrid.of(inputs[0].shape[2:])
        with one_thread(averages.device):
            given = _flat(*inputs, averages, *grad_outputs)
            runs = _Runs(grid, given[0])
            # gradients beyond the ends of the grid are zero, but need memory
            ends = (0, 2 * grid.reach, 2 * grid.reach)
            gradients = [t.new_zeros(*t.shape[:2], t.shape[2] + more) for t, more in zip(given, ends, strict=False)]
            for sample in range(len(averages)):
                _differentiate(
                    runs, affinity, [t[sample] for t in given], log_sums[sample], [t[sample] for t in gradients]
                )
            gradients[0].mul_(affinity.scale * _LOG2_E)
        gradients[1:] = (gradient[..., grid.reach : -grid.reach] for gradient in gradients[1:])
        shaped = (t.unflatten(2, given.shape[2:]).to(given.dtype) for t, given in zip(gradients, inputs, strict=True))
        return *shaped, None


def _flat(*tensors: Tensor) -> list[Float[Tensor, "batch channel voxel"]]:
    """Flatten the spatial axes; contiguous, of one type, at least single precision."""
    exact = reduce(torch.promote_types, (tensor.dtype for tensor in tensors), torch.float32)
    return [tensor.flatten(2).to(exact).contiguous() for tensor in tensors]
