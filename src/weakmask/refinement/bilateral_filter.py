"""Bilateral filter of a scalar image, computed by matrix products instead of a lattice.

k(i, j) = exp(-|p_i - p_j|^2 / 2 s^2 - (I_i - I_j)^2 / 2 t^2) is a product of one-dimensional Gaussians, and each of
these is F F^T with a thin F (`gaussian_kernels`). With phi_k(I) the k-th column of the intensity's factor, it is

    out_i = sum_k phi_k(I_i) * [K_space (phi_k(I) * values)]_i,

and K_space shrinks the volume to rank_z x rank_y x rank_x before it grows it again. The error is the tolerance of the
factors, some hundred times below that of a permutohedral lattice.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from weakmask.refinement.gaussian_kernels import axis_factor, thin_factor

# Steps per sigma of the table of intensities (kernel error below 1e-3 / 8).
_STEPS_PER_SIGMA = 256
# Values of phi in use at a time, so that they stay in the CPU's cache.
_CACHED = 2**19
# Up to this size phi of a whole volume is kept for the next call; larger ones are looked up again.
_KEPT_BYTES = 2**30


class BilateralFilter:
    """Bilateral filter with the grid and the intensities of one batch of images."""

    def __init__(
        self,
        image: Float[Tensor, "batch 1 *space"],
        sigmas: tuple[float, ...],
        sigma_intensity: float,
        tolerance: float = 1e-4,
    ) -> None:
        """Factor the kernel.

        Args:
            image: 2-D or 3-D intensities, finite.
            sigmas: of space, in voxels, one per axis, at least 0.
            sigma_intensity: in the image's unit, at least 0; 0 couples equal intensities only.
            tolerance: of the factors (`thin_factor`).

        Raises:
            ValueError: sigma_intensity 0 and more than 256 different intensities.
        """
        self._space = image.shape[2:]
        self._factors = [
            axis_factor(n, sigma, tolerance, image.device) for n, sigma in zip(self._space, sigmas, strict=True)
        ]
        table, index = _intensity_factor(image[:, 0], sigma_intensity, tolerance)
        self._table, self._index = table, index.flatten(2)  # rank, levels; batch, first axis, the others in one
        batch, length, places = self._index.shape
        columns = min(places, max(64, _CACHED // (batch * length * len(table))))
        self._chunks = [slice(a, a + columns) for a in range(0, places, columns)]
        # batch, rank, first axis, columns of the other axes: one contiguous piece per chunk, kept if small enough
        small = self._index.numel() * len(table) * 4 <= _KEPT_BYTES
        self._phi = [self._look_up(chunk) for chunk in self._chunks] if small else None
        # Reused buffers: allocating new memory takes longer than the arithmetic.
        shrunk = self._factors[0].shape[1]
        self._piece = table.new_empty(batch, len(table), length, columns)
        self._shrunk = table.new_empty(batch, len(table), shrunk, places)
        self._part = table.new_empty(batch, len(table), shrunk, columns)
        self._smaller = [
            self._piece.new_empty(
                self._shrunk.shape[:3].numel() * math.prod(self._space[1:axis]), rank, math.prod(behind)
            )
            if (behind := self._space[axis + 1 :])
            else self._piece.new_empty(self._shrunk.numel() // self._space[axis], rank)
            for axis, rank in enumerate((f.shape[1] for f in self._factors[1:]), start=1)
        ]

    def __call__(self, values: Float[Tensor, "batch *space channels"]) -> Float[Tensor, "batch *space channels"]:
        """Sum over all voxels j of k(i, j) values_j, the voxel itself included; channels last, no gradient."""
        # one channel at a time: the ranks already occupy all threads
        with torch.no_grad():
            filtered = [self._filter(channel.flatten(2)) for channel in values.unbind(-1)]
        return torch.stack(filtered, dim=-1).view(values.shape)

    def _filter(self, values: Tensor) -> Tensor:
        shrinking = self._factors[0].T.contiguous()
        for chunk, phi, piece, part in self._pieces():
            torch.mul(phi, values[:, None, :, chunk], out=piece)
            self._shrunk[..., chunk] = torch.matmul(shrinking, piece, out=part)
        self._spread()
        out = torch.empty_like(values)
        for chunk, phi, piece, part in self._pieces():
            # (axis x rank) @ (rank x columns) for each sample and intensity, weighted by its intensity and added up
            torch.matmul(self._factors[0], part.copy_(self._shrunk[..., chunk]), out=piece)
            torch.sum(piece.mul_(phi), 1, out=out[:, :, chunk])
        return out

    def _pieces(self) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
        """Chunk, its phi, and contiguous memory for products before and behind the first axis' factor."""
        for number, chunk in enumerate(self._chunks):
            phi = self._look_up(chunk) if self._phi is None else self._phi[number]
            part_shape = (*self._part.shape[:-1], phi.shape[-1])
            piece = self._piece.flatten()[: phi.numel()].view(phi.shape)
            yield chunk, phi, piece, self._part.flatten()[: math.prod(part_shape)].view(part_shape)

    def _look_up(self, chunk: slice) -> Tensor:
        """The intensity factor of some columns: batch, rank, first axis, columns."""
        index = self._index[:, :, chunk]
        looked_up = self._table.index_select(1, index.reshape(-1)).view(len(self._table), *index.shape)
        return looked_up.movedim(0, 1).contiguous()

    def _spread(self) -> None:
        """Apply the kernels of the other axes in place to the reduced volume."""
        before = self._shrunk.shape[:3].numel()
        for axis, (factor, smaller) in enumerate(zip(self._factors[1:], self._smaller, strict=True), start=1):
            length = self._space[axis]
            if axis == len(self._space) - 1:
                rows = self._shrunk.view(-1, length)
                torch.mm(torch.mm(rows, factor, out=smaller), factor.T, out=rows)
            else:
                matrices = self._shrunk.view(before, length, -1)
                torch.matmul(factor, torch.matmul(factor.T, matrices, out=smaller), out=matrices)


def _intensity_factor(image: Tensor, sigma: float, tolerance: float) -> tuple[Tensor, Tensor]:
    """A table of phi (rank, levels) and each voxel's level."""
    if sigma == 0:
        levels, index = torch.unique(image, return_inverse=True)
        if len(levels) > 256:
            raise ValueError(
                f"an intensity sigma of 0 couples equal intensities only, and the image has {len(levels)} different "
                "ones (expected at most 256): give a sigma above 0, or round the image"
            )
        return torch.eye(len(levels), device=image.device), index.int()
    low, high = image.min().item(), image.max().item()
    steps = max(1, round((high - low) / sigma * _STEPS_PER_SIGMA))
    levels = torch.linspace(low, high, steps + 1, dtype=torch.float64, device=image.device)
    index = ((image - low) * (steps / max(high - low, torch.finfo(torch.float32).tiny))).round().int()
    return thin_factor(levels, sigma, tolerance).T.contiguous(), index.clamp_(0, steps)
