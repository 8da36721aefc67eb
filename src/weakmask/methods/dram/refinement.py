"""The refinement's target, made of the map on the fly (section III-A-4 and Fig. 3)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from weakmask.methods.dram.config import CrfSettings
from weakmask.refinement import CRF, refine_map


def refinement_target(
    activation: Float[Tensor, "batch 1 *space"],
    image: Float[Tensor, "batch 1 *space"],
    region: Float[Tensor, "batch 1 *space"],
    healthy: Bool[Tensor, " batch"],
    spacing_mm: Float[Tensor, "batch axes"],
    crf: CRF,
) -> Int[Tensor, "batch 1 *space"]:
    """Lesion (1) and background (0) where the dense CRF, starting from the map, puts them.

    Args:
        activation: The raw map, vessels already zero; it is detached here.
        image: Windowed to [0, 1].
        region: 1 inside; nothing outside takes part.
        healthy: Regions scored 0, whose target is all background.
        spacing_mm: Of each crop, one number per axis: every lobe is resized by another factor.
        crf: Sigmas in mm and parts of the window.
    """
    target = torch.zeros(activation.shape, dtype=torch.long, device=activation.device)
    with torch.no_grad():
        for row in torch.nonzero(~healthy).flatten().tolist():
            one = slice(row, row + 1)
            spacing = spacing_mm[row].tolist()
            refined = refine_map(activation[one].float(), image[one].float(), crf, spacing, region[one] > 0.5)
            target[one] = (refined > 0.5) & (region[one] > 0.5)
    return target


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
