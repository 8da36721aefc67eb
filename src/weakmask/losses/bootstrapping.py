"""Bootstrapping cross-entropy: the target is a mixture of a noisy label and the network's own prediction.

Xie, Jacobs, Charbonnier, van Ginneken 2021 (arXiv 2105.11748), equation (4), after Reed et al. 2014 (arXiv 1412.6596).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from weakmask.losses.region_mean import region_mean

BETA = 0.8  # below equation (4)


def bootstrapping(
    logits: Float[Tensor, "batch class *space"],
    target: Int[Tensor, "batch 1 *space"],
    region: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"],
    beta: float = BETA,
) -> Float[Tensor, " batch"]:
    """Equation (4): mean of -sum_k [beta t_k + (1 - beta) z_k] log q_k over the region's voxels, in nats.

    q is the softmax of the logits, t the target one-hot, and z_k = 1 where k is the largest q, else 0, without gradient
    ("hard" bootstrapping, as printed below (4); the paper leaves out the minus sign). For target class a the loss of a
    voxel is -beta log q_a - (1 - beta) log max q: it is cross-entropy where the network agrees with the target, and is
    minimal at q_a = beta instead of 1 where it does not.

    Args:
        logits: One channel per class; a single channel is the logit of class 1 against class 0.
        target: Class of each voxel, 0 to classes - 1.
        region: True (or a weight in [0, 1]) where a voxel counts.
        beta: Trust in the target, in [0, 1]; 1 is cross-entropy.

    Returns:
        Mean loss per sample; 0 for an empty region.

    Raises:
        ValueError: beta is outside [0, 1].
    """
    log_q = _log_softmax(logits, beta)
    own = -log_q.gather(1, log_q.detach().max(dim=1, keepdim=True).indices)  # argmax is far slower
    return region_mean(-beta * _of_target(log_q, target) + (1 - beta) * own, region)  # (4)


def soft_bootstrapping(
    logits: Float[Tensor, "batch class *space"],
    target: Int[Tensor, "batch 1 *space"],
    region: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"],
    beta: float = BETA,
) -> Float[Tensor, " batch"]:
    """Equation (4) with z = q, the probabilities, without gradient: Reed's "soft" variant (Reed uses beta = 0.95).

    Its gradient is beta (q - t), that of cross-entropy times beta. With z detached, as in the dRAM paper, only the hard
    variant uses the network's prediction. Arguments, edges and errors are those of `bootstrapping`.
    """
    log_q = _log_softmax(logits, beta)
    own = -(log_q.detach().exp() * log_q).sum(dim=1, keepdim=True)
    return region_mean(-beta * _of_target(log_q, target) + (1 - beta) * own, region)


def _log_softmax(logits: Tensor, beta: float) -> Tensor:
    """Log q in at least float32; a single channel is written as two, the first with logit 0."""
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta must lie between 0 and 1, not {beta}")
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if exact.shape[1] == 1:
        exact = torch.cat([torch.zeros_like(exact), exact], dim=1)
    return F.log_softmax(exact, dim=1)


def _of_target(log_q: Tensor, target: Tensor) -> Tensor:
    """Log q of each voxel's target class."""
    return log_q.gather(1, target.long())
