"""Attention over the nearest neighbours, forward and backward, a run of rows at a time.

The weights of all neighbours exist for one run of rows only; what the backward pass keeps of them is the logarithm of
their sum, from which it computes them again, as flash attention does (Dao et al. 2022, arXiv 2205.14135). Exponentials
are taken to the base 2, several times faster than to the base e on processors.

    averages = LocalAttentionFunction.apply(queries, keys, values, Affinity())
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from weakmask.networks.neighbour_grid import NeighbourGrid

# Voxels at a time: on a processor the run's weights stay in its caches, a graphics card has enough to do.
_RUN_ON_CPU = 2**16
_RUN_ELSEWHERE = 2**19
_LOG2_E = math.log2(math.e)


@dataclass(frozen=True)
class Affinity:
    """How alike voxel i and its neighbour j are: exp(scale * q_i . k_j), or exp(scale * relu(q_i . k_j)).

    Attributes:
        include_self: Whether a voxel is its own neighbour.
        rectify: Whether relu is taken.
        scale: Not negative.
    """

    include_self: bool = True
    rectify: bool = False
    scale: float = 1.0

    def logits(self, grid: NeighbourGrid, query: Tensor, key: Tensor, start: int, out: Tensor) -> None:
        """Binary logarithms of the affinities of a run, minus infinity where there is no neighbour.

        Args:
            grid: Where the neighbours lie.
            query: (embedding, run), times scale and log2(e).
            key: (embedding, slab).
            start: The run's first voxel.
            out: (neighbour, run).
        """
        _products(grid, query, key, out)
        if self.rectify:
            out.clamp_(min=0)
        grid.forbid(out, start, itself=not self.include_self)


def _products(grid: NeighbourGrid, one: Tensor, other: Tensor, out: Tensor) -> None:
    """out[s, i] = sum over channels c of one[c, i] * other[c, i + s]."""
    for family, window in zip(grid.split(out), grid.windows(other), strict=True):
        torch.mul(one[0], window[0], out=family)
        for mine, theirs in zip(one[1:], window[1:], strict=True):
            family.addcmul_(mine, theirs)


class _Runs:
    """The runs of a sample, and memory for two numbers per voxel and neighbour of one run."""

    def __init__(self, grid: NeighbourGrid, like: Tensor) -> None:
        self.runs = list(grid.runs(_RUN_ON_CPU if like.device.type == "cpu" else _RUN_ELSEWHERE))
        self.neighbours = len(grid.distances)
        self.memory = like.new_empty(2, self.neighbours * max(stop - start for start, stop in self.runs))

    def scratch(self, voxels: int) -> tuple[Tensor, Tensor]:
        """Two tensors (neighbour, run), never cleared."""
        size = self.neighbours * voxels
        one, other = self.memory[:, :size].unflatten(1, (self.neighbours, voxels))
        return one, other


class LocalAttentionFunction(torch.autograd.Function):
    """sum_j a_ij v_j / sum_j a_ij over the neighbours j of i; tensors are (batch, channel, *space)."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, affinity: Affinity) -> Tensor:
        """Average the values; see `local_attention`."""
        q, k, v = _flat(queries, keys, values)
        grid = NeighbourGrid.of(queries.shape[2:])
        averages = v.new_empty(values.shape)
        flat_averages, log_sums = averages.flatten(2), q.new_empty(len(q), q.shape[2])
        runs = _Runs(grid, q)
        for sample in range(len(q)):
            for start, stop in runs.runs:
                weights, products = runs.scratch(stop - start)
                query = q[sample, :, start:stop] * (affinity.scale * _LOG2_E)
                affinity.logits(grid, query, grid.slab(k[sample], start, stop), start, weights)
                largest = weights.amax(0)
                total = weights.sub_(largest).exp2_().sum(0)
                torch.add(largest, total.log2(), out=log_sums[sample, start:stop])
                windows = grid.windows(grid.slab(v[sample], start, stop))
                for channel, average in enumerate(flat_averages[sample, :, start:stop]):
                    for part, weight, window in zip(grid.split(products), grid.split(weights), windows, strict=True):
                        torch.mul(weight, window[channel], out=part)
                    torch.sum(products, 0, out=average).div_(total)
        ctx.save_for_backward(queries, keys, values, averages, log_sums)
        ctx.affinity = affinity
        return averages.to(values.dtype)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients by queries, keys and values."""
        queries, keys, values, averages, log_sums = ctx.saved_tensors
        affinity: Affinity = ctx.affinity
        q, k, v, o, slope_o = _flat(queries, keys, values, averages, *grad_outputs)
        grid = NeighbourGrid.of(queries.shape[2:])
        runs = _Runs(grid, q)
        dq = torch.zeros_like(q)
        # what falls beyond the ends of a grid is zero, but needs a place
        dk, dv = (t.new_zeros(*t.shape[:2], t.shape[2] + 2 * grid.reach) for t in (k, v))
        for sample in range(len(q)):
            for start, stop in runs.runs:
                weights, slopes = runs.scratch(stop - start)
                query = q[sample, :, start:stop] * (affinity.scale * _LOG2_E)
                key = grid.slab(k[sample], start, stop)
                affinity.logits(grid, query, key, start, weights)
                rectified = (weights > 0) if affinity.rectify else None
                weights.sub_(log_sums[sample, start:stop]).exp2_()
                slope = slope_o[sample, :, start:stop]
                # d logit_s = weight_s (v_s - o) . d o, to the base 2 as the logits are
                slope_2 = slope * math.log(2)
                _products(grid, slope_2, grid.slab(v[sample], start, stop), slopes)
                slopes.sub_((slope_2 * o[sample, :, start:stop]).sum(0)).mul_(weights)
                if rectified is not None:
                    slopes.mul_(rectified)
                for s, distance in enumerate(grid.distances):
                    here, there = grid.reach + distance, start + grid.reach + distance
                    run = stop - start
                    dq[sample, :, start:stop].addcmul_(key[:, here : here + run], slopes[s])
                    dk[sample, :, there : there + run].addcmul_(query, slopes[s])
                    dv[sample, :, there : there + run].addcmul_(slope, weights[s])
        dq.mul_(affinity.scale * _LOG2_E)
        inner = slice(grid.reach, -grid.reach)
        gradients = zip((queries, keys, values), (dq, dk[..., inner], dv[..., inner]), strict=True)
        return *(gradient.unflatten(2, given.shape[2:]).to(given.dtype) for given, gradient in gradients), None


def _flat(*tensors: Tensor) -> tuple[Float[Tensor, "batch channel voxel"], ...]:
    """Flattened, contiguous and at least in single precision, all in one type."""
    exact = torch.float32
    for tensor in tensors:
        exact = torch.promote_types(exact, tensor.dtype)
    return tuple(tensor.flatten(2).to(exact).contiguous() for tensor in tensors)
