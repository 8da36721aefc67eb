"""The loss of a class-boundary network, from pairs of pixels whose classes are known (Ahn, Cho, Kwak 2019: IRNet).

Pixels of one class should have a high affinity, so no boundary may lie between them; pixels of two classes should have
a low one, so a boundary must lie somewhere on the line between them.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LEAST = 1e-5  # of an affinity, in the authors' code


def class_boundary(
    affinity: Float[Tensor, "batch pair *space"],
    background: Bool[Tensor, "batch pair *space"],
    foreground: Bool[Tensor, "batch pair *space"],
    different: Bool[Tensor, "batch pair *space"],
) -> Float[Tensor, " batch"]:
    """Equation (6) of arXiv 1904.05044: the three kinds of pairs weigh the same, however many there are of each.

    (b / 2 + f / 2 + d) / 2, with b and f the means of -log(a + 1e-5) over pairs of one class, and d the mean of
    -log(1 - a + 1e-5) over pairs of two. The authors' code takes the means over the pairs of a whole batch; here each
    image has its own, as in every loss of this package.

    Args:
        affinity: a, in [0, 1]: 1 - the largest boundary on the line between two pixels.
        background: Pairs that are both background.
        foreground: Pairs of one class that is not background.
        different: Pairs of two classes.

    Returns:
        One loss per image; a kind without pairs counts 0.
    """
    exact = affinity.to(torch.promote_types(affinity.dtype, torch.float32))
    same = -(exact + LEAST).log()
    other = -(1 + LEAST - exact).log()
    return (_mean(same, background) / 2 + _mean(same, foreground) / 2 + _mean(other, different)) / 2


def _mean(values: Tensor, wanted: Tensor) -> Tensor:
    return torch.where(wanted, values, 0).flatten(1).sum(1) / wanted.flatten(1).sum(1).clamp_min(1)
