"""Binary entropy of a map, which drives every voxel towards 0 or 1.

Xie, Jacobs, Charbonnier, van Ginneken 2021 (arXiv 2105.11748), equation (3).
"""

from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from weakmask.losses.region_mean import region_mean


def entropy(
    logits: Float[Tensor, "batch 1 *space"], region: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"]
) -> Float[Tensor, " batch"]:
    """Equation (3): mean of -p log p - (1 - p) log(1 - p) over the region's voxels, p = sigmoid(logits), in nats.

    Args:
        logits: The map before its sigmoid; computed from p, a saturated voxel would need log(0).
        region: True (or a weight in [0, 1]) where a voxel counts.

    Returns:
        Mean entropy per sample, in [0, log 2]; 0 for an empty region.
    """
    return region_mean(binary_entropy(logits), region)


def binary_entropy(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Entropy of sigmoid(z) for each logit z, in nats, at least float32.

    H = softplus(-|z|) + |z| sigmoid(-|z|), which is (3) with the larger of p and 1 - p taken out of the logarithm.
    Both terms are positive and vanish for large |z|, so there is no overflow and no cancellation.
    """
    size = logits.to(torch.promote_types(logits.dtype, torch.float32)).abs()
    return cast("Tensor", F.softplus(-size) + size * torch.sigmoid(-size))
