"""The refinement's target: made of the map on the fly (section III-A-4 and Fig. 3), or of the image and its score."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from weakmask.methods.dram.config import CrfSettings
from weakmask.refinement import CRF, refine_map
from weakmask.refinement.grey_opening import opened
from weakmask.refinement.score_consistent import score_consistent


def refinement_target(
    activation: Float[Tensor, "batch 1 *space"],
    image: Float[Tensor, "batch 1 *space"],
    region: Float[Tensor, "batch 1 *space"],
    healthy: Bool[Tensor, " batch"],
    spacing_mm: Float[Tensor, "batch axes"],
    crf: CRF,
    bounds: tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]] | None = None,
) -> Int[Tensor, "batch 1 *space"]:
    """Lesion (1) and background (0) where the dense CRF, starting from the map, puts them.

    Args:
        activation: The raw map, vessels already zero; it is detached here.
        image: Windowed to [0, 1].
        region: 1 inside; nothing outside takes part.
        healthy: Regions whose score rules lesions out; their target is all background.
        spacing_mm: Of each crop, one number per axis: every lobe is resized by another factor.
        crf: Sigmas in mm and parts of the window; without iterations the map is taken as it is.
        bounds: Lowest and highest lesion fraction of each region, which the target then keeps to (O); None: not.
    """
    target = torch.zeros(activation.shape, dtype=torch.long, device=activation.device)
    with torch.no_grad():
        for row in torch.nonzero(~healthy).flatten().tolist():
            one = slice(row, row + 1)
            spacing = spacing_mm[row].tolist()
            inside = region[one] > 0.5
            refined = refine_map(activation[one].float(), image[one].float(), crf, spacing, inside)
            if bounds is None:
                target[one] = (refined > 0.5) & inside
            else:
                target[one] = score_consistent(refined, inside, bounds[0][one], bounds[1][one], 0.5).long()
    return target


def anchored_target(
    image: Float[Tensor, "batch 1 *space"],
    region: Float[Tensor, "batch 1 *space"],
    healthy: Bool[Tensor, " batch"],
    bounds: tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]],
    voxels: int,
    threshold: float,
) -> Int[Tensor, "batch 1 *space"]:
    """Lesion (1) and background (0) from the image alone: opened, and thresholded to fit the score (O).

    The raw regression can fit every score with a map that is wrong, and which map it finds depends on the seed. This
    target depends on nothing but image and score, so that all seeds begin alike.

    Args:
        image: Windowed to [0, 1].
        region: 1 inside.
        healthy: Regions whose score rules lesions out; their target is all background.
        bounds: Lowest and highest lesion fraction of each region.
        voxels: Narrower bright things are opened away.
        threshold: Of the opened image, chosen on the training scores.
    """
    with torch.no_grad():
        inside = region > 0.5
        found = score_consistent(opened(image * inside, voxels), inside, *bounds, threshold)
        return (found & ~healthy.reshape(-1, *[1] * (image.ndim - 1))).long()


def crf_of(settings: CrfSettings) -> CRF:
    """The CRF of the settings."""
    return CRF(
        smoothness_mm=settings.smoothness_mm,
        smoothness_weight=settings.smoothness_weight,
        appearance_mm=settings.appearance_mm,
        appearance_intensity=settings.appearance_window,
        appearance_weight=settings.appearance_weight,
        iterations=settings.iterations,
    )
