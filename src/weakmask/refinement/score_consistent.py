"""Score-consistent mask: a map is thresholded so that each region's lesion fraction lies in its score's interval.

The map's threshold is used where it agrees with the score. If it marks too little of a region, the next highest voxels
are added; if it marks too much, the lowest are removed; a region without disease stays empty. Every voxel of a training
region thus gets a label that follows the map's ranking and never contradicts the score. This step is not in the paper
(O). It is close to the size constraints of Kervadec et al. 2019 (arXiv 1805.04628), as a projection instead of a
penalty.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def score_consistent(
    activation_map: Float[Tensor, "batch 1 *space"],
    region: Bool[Tensor, "batch 1 *space"],
    low: Float[Tensor, " batch"],
    high: Float[Tensor, " batch"],
    threshold: float,
) -> Bool[Tensor, "batch 1 *space"]:
    """Threshold each region's map, with the threshold moved until the fraction lies in [low, high].

    Args:
        activation_map: Any ranking of the voxels, at least 0.
        region: True inside.
        low: Lowest lesion fraction of each region, in [0, 1].
        high: Highest; 0 for a region without lesions.
        threshold: A voxel at or above it is lesion unless the score contradicts.

    Returns:
        True for lesion, inside the region. Voxels tied with the lowest lesion voxel are lesion too, so ties may raise
        the fraction above `high`; voxels of value 0 are never lesion, so the fraction may stay below `low`.
    """
    flat = torch.where(region, activation_map, -1.0).flatten(1)
    inside = region.flatten(1).sum(dim=1).double()
    marked = (flat >= max(threshold, 0.0)).sum(dim=1).double()
    most = torch.floor(high.double() * inside + 1e-6)
    count = torch.minimum(torch.maximum(marked, torch.ceil(low.double() * inside - 1e-6)), most).long()
    descending = flat.sort(dim=1, descending=True).values
    lowest = descending.gather(1, (count - 1).clamp_min(0)[:, None])
    chosen = (flat >= lowest) & (flat > 0) & (count > 0)[:, None]
    return chosen.reshape(region.shape)
