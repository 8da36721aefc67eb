"""Instances of a bag, from easy to hard: which of them are learnt at a step, and the loss of those.

Dual-task MIL (Wang) says "from easy to hard"; the rule is that of self-paced learning (Kumar et al., NIPS 2010): an
instance takes part when its loss is below a limit lambda, and lambda rises. All numbers are the package's choice (O).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

START, END = 0.9, 0.5  # of tau = exp(-lambda)
UNTIL = 0.75  # share of the steps over which tau falls
BLEND_UNTIL = 0.5  # share of the steps over which the network's own probability takes the place of the coarse map
ALWAYS = 0.02  # share of the instances of a positive bag that are positive in any case


class Selected(NamedTuple):
    """The instances that take part.

    Attributes:
        positive: In positive bags.
        negative: In positive bags.
        of_negative_bags: All instances of negative bags.
    """

    positive: Bool[Tensor, "bag 1 *patches"]
    negative: Bool[Tensor, "bag 1 *patches"]
    of_negative_bags: Bool[Tensor, "bag 1 *patches"]


def easiness(step: int, steps: int) -> float:
    """The limit tau at a step: exp(-lambda) falls from 0.9 to 0.5, lambda rising linearly over 75 % of the steps."""
    done = min(1.0, step / max(1.0, UNTIL * steps))
    return START ** (1.0 - done) * END**done


def blended(
    coarse: Float[Tensor, "bag 1 *patches"], own: Float[Tensor, "bag 1 *patches"], step: int, steps: int
) -> Float[Tensor, "bag 1 *patches"]:
    """The probability that instances are selected by: (1 - b) coarse + b own, b from 0 to 1 over half of the steps.

    Args:
        coarse: A map in [0, 1], such as Grad-CAM, in each patch.
        own: The network's own probability; no gradient passes.
        step: From 0.
        steps: Of the training.
    """
    b = min(1.0, step / max(1.0, BLEND_UNTIL * steps))
    return (1.0 - b) * coarse + b * own.detach()


def select_instances(
    probability: Float[Tensor, "bag 1 *patches"],
    inside: Bool[Tensor, "bag 1 *patches"],
    positive: Bool[Tensor, " bag"],
    tau: float,
) -> Selected:
    """The instances that take part at the limit tau.

    In a positive bag an instance is positive if p >= tau, or if it is among the highest 2 %; negative if p < 1 - tau;
    else it is left out. In a negative bag every instance is negative.

    Args:
        probability: p, of each instance.
        inside: Whether an instance lies in its region; others take no part.
        positive: Whether a bag is positive.
        tau: From 1/2, where all instances take part, to 1.

    Raises:
        ValueError: tau lies outside [1/2, 1].
    """
    if not 0.5 <= tau <= 1.0:
        raise ValueError(f"tau must lie between 1/2 and 1, not {tau}")
    bags = positive.reshape(-1, *[1] * (probability.ndim - 1))
    chosen = (probability >= tau) | _highest(probability, inside)
    rejected = (probability < 1.0 - tau) & ~chosen
    return Selected(chosen & inside & bags, rejected & inside & bags, inside & ~bags)


def bag_instances(inside: Bool[Tensor, "bag 1 *patches"], positive: Bool[Tensor, " bag"]) -> Selected:
    """Every instance with the label of its bag; none is left out."""
    bags = positive.reshape(-1, *[1] * (inside.ndim - 1))
    return Selected(inside & bags, torch.zeros_like(inside), inside & ~bags)


def instance_loss(logits: Float[Tensor, "bag 1 *patches"], selected: Selected) -> Float[Tensor, ""]:
    """The mean of -log p over positives, and half of the mean of -log(1 - p) over both kinds of negatives.

    A kind without an instance adds 0.
    """
    hit, missed = F.softplus(-logits), F.softplus(logits)
    return (
        _mean(hit, selected.positive)
        + 0.5 * _mean(missed, selected.of_negative_bags)
        + 0.5 * _mean(missed, selected.negative)
    )


def _highest(probability: Tensor, inside: Tensor) -> Tensor:
    """The highest 2 % of the instances inside each bag, at least one where there are any; of equals the first ones."""
    flat = probability.masked_fill(~inside, -math.inf).flatten(1)
    ranks = flat.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    wanted = (ALWAYS * inside.flatten(1).sum(1)).ceil().clamp_min(1)
    return (ranks < wanted[:, None]).reshape(inside.shape) & inside


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp_min(1)
