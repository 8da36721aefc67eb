"""A mask that keeps to a score: a map is cut in each region where its fraction falls into the score's interval.

A map's own threshold decides as far as the score agrees. Where it marks too little of a region, the region's next
highest voxels are added; where it marks too much, its lowest are taken away; a region without disease stays empty.
Every voxel of a training region so gets a label that is as good as the map's ranking, and never contradicts the score.
Our choice; close to the size constraints of Kervadec et al. 2019 (arXiv 1805.04628), as a projection instead of a
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
    """Cut each region's map at the threshold, moved as far as needed for the fraction to lie in [low, high].

    Args:
        activation_map: Any ranking of the voxels, at least 0.
        region: True inside.
        low: Lowest lesion fraction of each region, in [0, 1].
        high: Highest; 0 for a region without lesions.
        threshold: A voxel at or above it is lesion where the score does not object.

    Returns:
        True for lesion, inside the region. Voxels as high as the lowest that is taken are taken too, so that ties may
        carry a fraction over `high`; voxels of value 0 never are, so that it may stay under `low`.
    """
    flat = torch.where(region, activation_map, -1.0).flatten(1)
    inside = region.flatten(1).sum(dim=1).double()
    marked = (flat >= max(threshold, 0.0)).sum(dim=1).double()
    most = torch.floor(high.double() * inside + 1e-6)
    wanted = torch.minimum(torch.maximum(marked, torch.ceil(low.double() * inside - 1e-6)), most).long()
    descending = flat.sort(dim=1, descending=True).values
    lowest = descending.gather(1, (wanted - 1).clamp_min(0)[:, None])
    chosen = (flat >= lowest) & (flat > 0) & (wanted > 0)[:, None]
    return chosen.reshape(region.shape)
