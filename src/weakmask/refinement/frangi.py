"""Frangi vesselness (Frangi et al. 1998): a measure of how tube-like the neighbourhood of a voxel is.

    from weakmask.refinement import vesselness
    likeness = vesselness(ct, sigmas_mm=(1, 2, 3), spacing_mm=(1.0, 0.7, 0.7))   # (batch, 1, z, y, x) in [0, 1]

The image is processed in slabs, so that a scan of 512 x 512 x 300 voxels fits into memory, and eigenvalues are computed
only for voxels that can belong to a tube.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weakmask.refinement.eigenvalues import symmetric_eigenvalues
from weakmask.refinement.hessian import HessianFilter
from weakmask.refinement.input_checks import require_tensors
from weakmask.refinement.parallel_slabs import in_threads

Gamma = float | Literal["scale", "first"]
_SLAB = {
    "cpu": 2**18,
    "cuda": 2**24,
}  # voxels: on a CPU the Hessian fits into the last cache; a GPU needs more work at a time
_CHUNK = 2**17  # voxels whose eigenvalues are computed at once


def vesselness(
    image: Float[Tensor, "batch 1 *space"],
    sigmas_mm: Sequence[float],
    spacing_mm: Sequence[float] | None = None,
    region: Bool[Tensor, "batch 1 *space"] | None = None,
    *,
    dark: bool = False,
    alpha_beta: tuple[float, float] = (0.5, 0.5),
    gamma: Gamma = "scale",
) -> Float[Tensor, "batch 1 *space"]:
    """Largest Frangi vesselness over the scales, equations (13) and (15).

    With |l1| <= |l2| <= |l3| the eigenvalues of the Hessian at one scale, R_A = |l2| / |l3|, R_B = |l1| / sqrt(|l2 l3|)
    and S the root of their summed squares,

        V = (1 - exp(-R_A^2 / 2 alpha^2)) exp(-R_B^2 / 2 beta^2) (1 - exp(-S^2 / 2 gamma^2)),

    and 0 where l2 or l3 has the sign of the wrong brightness. In 2-D R_B = |l1| / |l2| and the first factor is 1.

    Args:
        image: finite; float64 is computed in float64, other types in float32. The border reflects.
        sigmas_mm: scales, above 0: a tube of radius r has its largest V at about r / sqrt(2).
        spacing_mm: of the grid, one per axis of space; default 1.
        region: V is 0 outside, and gamma is computed from the inside.
        dark: detect dark tubes instead of bright ones.
        alpha_beta: sensitivity to plates and to blobs (0.5 each in the paper).
        gamma: sensitivity to contrast: half the largest S of each scale ("scale", the paper) or of the first scale for
            all of them ("first", scikit-image), separately for each image; or a number, in grey values per mm^2.

    Returns:
        In [0, 1], on the image's device; 0 for a constant image.

    Raises:
        TypeError: an input that is not a tensor.
        ValueError: other than 2 or 3 axes of space, shapes or a spacing that do not fit, a sigma or spacing that is not
            above 0, or an image that is not finite.
    """
    require_tensors(image=image, region=region)
    spacing = _checked_spacing(image, sigmas_mm, spacing_mm, region)
    values = image.detach()
    values = values if values.dtype == torch.float64 else values.float()
    result = torch.empty_like(values, memory_format=torch.contiguous_format)
    for index in range(len(values)):
        inside = None if region is None else region[index, 0]
        tubes = _TubeFilter(_about_zero(values[index, 0]), inside, dark, alpha_beta)
        tubes.best_over(sigmas_mm, spacing, gamma, result[index, 0])
    return result


def _checked_spacing(
    image: Tensor, sigmas_mm: Sequence[float], spacing_mm: Sequence[float] | None, region: Tensor | None
) -> tuple[float, ...]:
    axes = image.dim() - 2
    spacing = (1.0,) * axes if spacing_mm is None else tuple(float(s) for s in spacing_mm)
    if image.shape[1] != 1 or len(spacing) != axes:
        raise ValueError(
            f"image is {tuple(image.shape)} and spacing_mm {spacing}; expected (batch, 1, *space) and a number for "
            "each axis of space"
        )
    if not sigmas_mm or min(*spacing, *sigmas_mm) <= 0:
        raise ValueError(f"sigmas_mm {tuple(sigmas_mm)} and spacing_mm {spacing} must be above 0")
    if region is not None and region.shape != image.shape:
        raise ValueError(f"region is {tuple(region.shape)}; expected the image's {tuple(image.shape)}")
    return spacing


def _about_zero(image: Tensor) -> Tensor:
    """The image minus the middle of its range, which leaves derivatives unchanged and reduces their rounding errors."""
    low, high = (float(end) for end in image.aminmax())
    if not math.isfinite(low + high):
        raise ValueError("the image has voxels that are not finite")
    return image.contiguous() - (low + high) / 2


@dataclass(frozen=True)
class _Tubes:
    """Voxels of a slab that can be tubes, in the Hessian's order; all other voxels have V = 0."""

    places: Tensor
    shape: Tensor  # the first two factors of V
    squares: Tensor  # S^2
    largest: Tensor  # S^2 of all voxels


@dataclass(frozen=True)
class _TubeFilter:
    """Tube filter for one image."""

    image: Tensor
    region: Tensor | None
    dark: bool
    alpha_beta: tuple[float, float]

    def best_over(self, sigmas: Sequence[float], spacing: Sequence[float], gamma: Gamma, out: Tensor) -> None:
        """Write the largest V over the scales."""
        depth = max(1, _SLAB.get(self.image.device.type, 2**24) // self.image[0].numel())
        slabs = [slice(start, min(start + depth, len(self.image))) for start in range(0, len(self.image), depth)]
        # in the Hessian's order of voxels, reordered once at the end
        best = [self.image.new_zeros(self.image[slab].numel()) for slab in slabs]
        contrast = None if isinstance(gamma, str) else float(gamma)
        for sigma in sigmas:
            largest = self._raise(best, slabs, HessianFilter(self.image, sigma, spacing), contrast)
            contrast = largest if gamma == "first" and contrast is None else contrast
        for slab in reversed(slabs):
            rows = out[slab].view(slab.stop - slab.start, -1)
            rows.copy_(best.pop().view(-1, len(rows)).T)

    def _raise(self, best: list[Tensor], slabs: list[slice], hessian: HessianFilter, contrast: float | None) -> float:
        """Raise `best` to V at one scale where V is larger; return the gamma used (`contrast` if given)."""
        device = self.image.device
        found = in_threads(lambda slab: self._tubes(hessian(self.image, slab), slab), slabs, device)
        gamma = contrast or math.sqrt(max(float(tubes.largest) for tubes in found)) / 2
        # in a constant image S is 0 everywhere, and so nearly at scales far below a voxel, where 1 / gamma^2 overflows
        gamma = max(gamma, math.sqrt(torch.finfo(self.image.dtype).tiny))

        def raise_slab(pair: tuple[Tensor, _Tubes]) -> None:
            """Keep the larger vesselness of this scale and the scales before, in one slab."""
            so_far, tubes = pair
            likeness = tubes.squares.mul_(-1 / (2 * gamma**2)).expm1_().neg_().mul_(tubes.shape)
            torch.maximum(likeness, so_far.index_select(0, tubes.places), out=likeness)
            so_far.index_copy_(0, tubes.places, likeness)

        in_threads(raise_slab, list(zip(best, found, strict=True)), device)
        return gamma

    def _tubes(self, entries: Tensor, slab: slice) -> _Tubes:
        inside = None if self.region is None else self.region[slab].movedim(0, -1).reshape(-1)
        size = _CHUNK if entries.device.type == "cpu" else entries.shape[1]
        parts = [
            self._tubes_of_chunk(entries[:, start : start + size], start, inside)
            for start in range(0, entries.shape[1], size)
        ]
        places, shape, squares = (torch.cat([part[k] for part in parts]) for k in range(3))
        return _Tubes(places, shape, squares, torch.stack([part[3] for part in parts]).max())

    def _tubes_of_chunk(self, entries: Tensor, start: int, inside: Tensor | None) -> tuple[Tensor, ...]:
        """Indices, shape factors and S^2 of the voxels that can be tubes, and the largest S^2."""
        squares, trace = _squares_and_trace(entries)
        if inside is not None:
            inside = inside[start : start + len(squares)]
            squares *= inside
        if not self.dark:
            trace.neg_()  # now a tube has l2 and l3 above 0
        # if all but the eigenvalue of smallest magnitude are positive, so is the trace; in 3-D also 3 trace^2 > S^2,
        # because l1 > -l2 and l3 >= l2 imply trace > l3 and S^2 < 2 l2^2 + l3^2
        possible = trace > 0 if len(entries) == 3 else trace.clamp_min_(0).square_().mul_(3) > squares
        if inside is not None:
            possible &= inside
        places = possible.nonzero().view(-1)
        chosen = entries.index_select(1, places)
        if not self.dark:
            chosen.neg_()
        return (
            places + start,
            _shape(symmetric_eigenvalues(chosen), *self.alpha_beta),
            squares.index_select(0, places),
            squares.max(),
        )


def _squares_and_trace(entries: Tensor) -> tuple[Tensor, Tensor]:
    """S^2 and the trace, both computed without eigenvalues."""
    diagonal = [entries[k] for k in ((0, 2) if len(entries) == 3 else (0, 3, 5))]
    others = [entries[k] for k in ((1,) if len(entries) == 3 else (1, 2, 4))]
    squares, trace = others[0] * others[0], diagonal[0] + diagonal[1]
    for entry in others[1:]:
        squares.addcmul_(entry, entry)
    squares.mul_(2)
    for entry in diagonal:
        squares.addcmul_(entry, entry)
    for entry in diagonal[2:]:
        trace.add_(entry)
    return squares, trace


def _shape(ascending: tuple[Tensor, ...], alpha: float, beta: float) -> Tensor:
    """The first two factors of V for bright tubes on negated eigenvalues: l2 and l3 must be the positive ones."""
    lowest, *upper = ascending
    right = lowest + upper[0] > 0  # otherwise the lowest is not the eigenvalue of smallest magnitude
    tiny = torch.finfo(lowest.dtype).tiny
    widest = upper[-1].clamp_min_(tiny)
    if len(upper) == 1:
        blob = lowest.div_(widest).square_()  # R_B^2 (15)
        return blob.mul_(-1 / (2 * beta**2)).exp_().mul_(right)
    middle = upper[0].clamp_min_(tiny)
    blob = lowest.square_().div_(middle).div_(widest)  # R_B^2 (10)
    plate = middle.div_(widest).square_()  # R_A^2 (11)
    return blob.mul_(-1 / (2 * beta**2)).exp_().mul_(plate.mul_(-1 / (2 * alpha**2)).expm1_().neg_()).mul_(right)
