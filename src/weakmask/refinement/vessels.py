"""Frangi vesselness (Frangi et al. 1998): how much the surroundings of a voxel look like a tube.

from weakmask.refinement import vessel_mask, vesselness
likeness = vesselness(ct_tensor, sigmas_mm=(1, 2, 3), spacing_mm=(1.0, 0.7, 0.7))   # [0, 1]
vessels = vessel_mask(scan, lungs.voxels > 0)                                       # a Volume
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from skimage.filters import threshold_otsu
from torch import Tensor

from weakmask.refinement.hessian import eigenvalues_by_magnitude, hessian_slabs
from weakmask.volume.geometry import Box
from weakmask.volume.intensity import window
from weakmask.volume.volume import Volume

LUNG_VESSELS_MM = (1.0, 1.75, 2.5)
_LUNG_WINDOW = (-1000.0, 0.0)
_SMALLEST = 1e-10  # divisors: no infinities where a voxel is no tube anyway


def vesselness(
    image: Float[Tensor, "*space"],
    sigmas_mm: Sequence[float],
    spacing_mm: Sequence[float] | None = None,
    *,
    dark: bool = False,
    alpha_beta: tuple[float, float] = (0.5, 0.5),
    gamma: float | Literal["scale", "first"] = "scale",
) -> Float[Tensor, "*space"]:
    """Largest Frangi vesselness over the scales, equations (13) and (15).

    With |l1| <= |l2| <= |l3| the eigenvalues of the Hessian at one scale, R_A = |l2| / |l3|, R_B = |l1| / sqrt(|l2 l3|)
    and S the root of their summed squares,

        V = (1 - exp(-R_A^2 / 2 alpha^2)) exp(-R_B^2 / 2 beta^2) (1 - exp(-S^2 / 2 gamma^2)),

    and 0 where l2 or l3 has the sign of the wrong brightness. In 2-D R_B = |l1| / |l2| and the first factor is 1.

    Args:
        image: 2-D or 3-D; float64 is computed in float64, all else in float32.
        sigmas_mm: scales, above 0: a tube of radius r answers strongest at about r / sqrt(2) in 3-D.
        spacing_mm: of the grid, one per axis; 1 where not given.
        dark: look for dark tubes instead of bright ones.
        alpha_beta: sensitivity to plates and to blobs (0.5 each in the paper).
        gamma: sensitivity to contrast: a number, or half the largest S, of each scale ("scale", the paper) or of the
            first scale for all ("first", scikit-image).

    Returns:
        In [0, 1], on the image's device; 0 for a constant image. Unlike scikit-image, which clips eigenvalues of the
        wrong sign to 1e-10 and relies on an underflow, such voxels are exactly 0.

    Raises:
        ValueError: other than 2 or 3 axes, a spacing that does not fit, or a sigma or spacing that is not above 0.
    """
    spacing = (1.0,) * image.dim() if spacing_mm is None else tuple(float(s) for s in spacing_mm)
    if image.dim() not in {2, 3} or len(spacing) != image.dim():
        raise ValueError(f"image has {image.dim()} axes, spacing_mm {len(spacing)} numbers; expected 2 or 3 of both")
    if min(*spacing, *sigmas_mm) <= 0:
        raise ValueError(f"sigmas_mm {tuple(sigmas_mm)} and spacing_mm {spacing} must be above 0")
    values = image if image.dtype == torch.float64 else image.float()
    values = values if dark else -values
    best = torch.zeros_like(values)
    fixed = gamma if isinstance(gamma, float | int) else None
    with torch.no_grad():
        for sigma in sigmas_mm:
            tube, strength = _tubes(values, sigma, spacing, alpha_beta)
            contrast = fixed or strength.max().sqrt().item() / 2 or 1.0
            fixed = contrast if gamma == "first" else fixed
            tube.mul_(strength.mul_(-1 / (2 * contrast**2)).expm1_().neg_())
            torch.maximum(best, tube, out=best)
    return best


def _tubes(
    values: Tensor, sigma_mm: float, spacing: tuple[float, ...], alpha_beta: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """The first two factors of V, and S^2, at one scale."""
    alpha, beta = alpha_beta
    tube, strength = torch.empty_like(values), torch.empty_like(values)
    for slab, hessian in hessian_slabs(values, sigma_mm, spacing):
        eigenvalues = eigenvalues_by_magnitude(hessian)
        _sum_of_squares(eigenvalues, strength[slab])
        widest = eigenvalues[-1].clamp_min(_SMALLEST)
        if len(eigenvalues) == 2:
            blob = (eigenvalues[0] / widest).square_()  # R_B^2 (15)
            right = eigenvalues[-1] > 0
        else:
            middle = eigenvalues[1].clamp_min(_SMALLEST)
            blob = eigenvalues[0].square().div_(middle).div_(widest)  # R_B^2 (10)
            right = torch.minimum(eigenvalues[1], eigenvalues[2]) > 0
        torch.mul(blob.mul_(-1 / (2 * beta**2)).exp_(), right, out=tube[slab])
        if len(eigenvalues) == 3:
            tube[slab].mul_(middle.div_(widest).square_().mul_(-1 / (2 * alpha**2)).expm1_().neg_())  # R_A (11)
    return tube, strength


def _sum_of_squares(values: Sequence[Tensor], out: Tensor) -> None:
    torch.mul(values[0], values[0], out=out)
    for value in values[1:]:
        out.addcmul_(value, value)


def vessel_mask(
    image: Volume,
    region: Bool[np.ndarray, "z y x"],
    sigmas_mm: Sequence[float] = LUNG_VESSELS_MM,
    device: str | torch.device = "cpu",
) -> Volume:
    """Vessels inside a region of a chest CT: Otsu's threshold on the vesselness (the reference of the vessel network).

    What lies outside the region is replaced by the region's median first: else the chest wall would light up along the
    pleura.

    Args:
        image: HU.
        region: True inside the lungs.
        sigmas_mm: scales (O: chosen on phantoms, see benchmarks/vessel_dice.py).
        device: where to compute.

    Returns:
        A label volume on the image's grid, 1 in vessels; empty where the region is.
    """
    mask = np.zeros(image.geometry.shape, dtype=np.uint8)
    if region.any():
        box = _box_around(region)
        inside = region[box.slices]
        grey = window(image.voxels[box.slices], *_LUNG_WINDOW)
        grey[~inside] = np.median(grey[inside])
        answer = _squeezed_vesselness(grey, sigmas_mm, image.geometry.spacing_mm, device)
        answers = answer[inside]
        if answers.max() > 0:
            mask[box.slices] = (answer > threshold_otsu(answers)) & inside
    return image.with_voxels(mask, "label")


def _squeezed_vesselness(
    grey: np.ndarray, sigmas_mm: Sequence[float], spacing_mm: Sequence[float], device: str | torch.device
) -> np.ndarray:
    """A single slice is two-dimensional."""
    values = torch.from_numpy(np.ascontiguousarray(grey)).to(device)
    if grey.shape[0] == 1:
        return vesselness(values[0], sigmas_mm, spacing_mm[1:]).cpu().numpy()[None]
    return vesselness(values, sigmas_mm, spacing_mm).cpu().numpy()


def _box_around(region: np.ndarray) -> Box:
    spans = [np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    z, y, x = ((int(span[0]), int(span[-1]) + 1) for span in spans)
    return Box((z[0], y[0], x[0]), (z[1], y[1], x[1]))
