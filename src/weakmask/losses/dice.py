"""Soft Dice with squared terms in the denominator.

Milletari, Navab, Ahmadi 2016, "V-Net" (arXiv 1606.04797), section 3: D = 2 sum p g / (sum p^2 + sum g^2).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Region = Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"]


def dice(
    logits: Float[Tensor, "batch class *space"],
    target: Int[Tensor, "batch 1 *space"],
    region: Region,
) -> Float[Tensor, " batch"]:
    """Dice loss 1 - D, averaged over the foreground classes (1 and up) that occur in a sample's target.

    A class that does not occur in the target is left out: its D is 0 for any prediction and so is its gradient, so it
    would only add a constant that depends on the sample. A sample without foreground has loss 0 and no gradient: this
    loss does not penalise false positives in such a sample; combine it with a cross-entropy, which does.

    Args:
        logits: One channel per class, background first; a single channel is the logit of class 1 against class 0.
        target: Class of each voxel, 0 to classes - 1.
        region: True (or a weight in [0, 1]) where a voxel counts.

    Returns:
        Loss per sample, in [0, 1].
    """
    missed, sizes, truth = (sums[:, 1:] for sums in _sums(logits, target, region))
    present = truth > 0
    losses = torch.where(
        present, missed / torch.where(present, sizes, torch.ones_like(sizes)), torch.zeros_like(missed)
    )
    return losses.sum(dim=1) / present.sum(dim=1).clamp(min=1)


def dice_by_class(
    logits: Float[Tensor, "batch class *space"],
    target: Int[Tensor, "batch 1 *space"],
    region: Region,
) -> Float[Tensor, "batch classes"]:
    """Dice loss 1 - D of every sample and class, including the background (class 0).

    Computed as sum (p - g)^2 / (sum p^2 + sum g^2), which is equal and not negative after rounding. A class with both
    sums 0 (absent from target and prediction) has loss 0; a class that is absent from the target only has loss 1.

    Args:
        logits: As in `dice`.
        target: As in `dice`.
        region: As in `dice`.

    Returns:
        Losses in [0, 1]; two columns for a single channel of logits.
    """
    missed, sizes, _ = _sums(logits, target, region)
    return missed / torch.where(sizes > 0, sizes, torch.ones_like(sizes))


def _sums(logits: Tensor, target: Tensor, region: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum (p - g)^2, sum p^2 + sum g^2 and sum g^2 per sample and class, in at least float32."""
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if exact.shape[1] == 1:
        exact = torch.cat([torch.zeros_like(exact), exact], dim=1)
    p = torch.softmax(exact, dim=1)
    classes = torch.arange(p.shape[1], device=p.device).view(1, -1, *[1] * (p.ndim - 2))
    g = (target == classes).to(p.dtype)
    weights = region.to(p.dtype)

    def total(values: Tensor) -> Tensor:
        """The weighted sum over the voxels of each sample and class."""
        return (weights * values).flatten(2).sum(dim=2)

    truth = total(g)  # g is 0 or 1, so g^2 = g
    return total((p - g).square()), total(p.square()) + truth, truth
