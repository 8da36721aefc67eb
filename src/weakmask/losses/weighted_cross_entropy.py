"""Binary cross-entropy in which the rarer class of a patch weighs more.

The authors' code of Li et al. 2021 (arXiv 2104.07961), as in PyTorch Connectomics. The paper prints the factor of the
foreground upside down, so that it would weigh less the rarer it is.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from weakmask.losses.region_mean import region_mean

SHARES = (0.05, 0.99)  # to which the share of the foreground is clipped: it weighs 19 times as much at most


def weighted_cross_entropy(
    logits: Float[Tensor, "batch 1 *space"],
    target: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"],
    region: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"],
    power: float = 1.0,
) -> Float[Tensor, " batch"]:
    """Mean of -v [t log p + (1 - t) log(1 - p)] over the region's voxels, in nats.

    p is the sigmoid of the logits, t the target. With w the share of the foreground in the region, clipped to [0.05,
    0.99]: if w <= 0.5, v is (1 - w) / w in the foreground and 1 in the background; else v is 1 in the foreground and
    w / (1 - w) in the background. Where the region has one class only, v is 1.

    Args:
        logits: Of the foreground.
        target: True in the foreground.
        region: True (or a weight in [0, 1]) where a voxel counts.
        power: The weights v are taken to this power: 0.5 pushes probabilities up less, 0 not at all.

    Returns:
        Mean loss per sample; 0 for an empty region.
    """
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    true = target.to(exact.dtype)
    share = region_mean(true, region)
    w = share.clamp(*SHARES)
    several = (share > 0) & (share < 1)
    foreground = torch.where(several & (w <= 0.5), (1 - w) / w, torch.ones_like(w))
    background = torch.where(several & (w > 0.5), w / (1 - w), torch.ones_like(w))
    of_sample = [-1] + [1] * (exact.ndim - 1)
    v = torch.where(true > 0.5, foreground.reshape(of_sample), background.reshape(of_sample)) ** power
    return region_mean(v * F.binary_cross_entropy_with_logits(exact, true, reduction="none"), region)
