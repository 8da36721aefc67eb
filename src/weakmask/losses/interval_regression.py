"""Interval regression: the loss is 0 while the predicted lesion fraction lies inside the interval of a score.

Xie, Jacobs, Charbonnier, van Ginneken 2021 (arXiv 2105.11748), equation (1).
"""

from collections import Counter
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor


def interval_regression(
    predicted: Float[Tensor, " batch"], low: Float[Tensor, " batch"], high: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Equation (1): max(0, (y - (rl + ru) / 2)^2 - ((rl - ru) / 2)^2), per region.

    The loss is 0, with gradient 0, for rl <= y <= ru and grows quadratically outside, with slope 2 (y - middle). The
    slope jumps at the bounds unless the interval is a point. With rl = ru it is the squared error.

    Args:
        predicted: y, predicted lesion fraction of each region, in [0, 1].
        low: rl, lower bound of each region's fraction, in [0, 1].
        high: ru, upper bound, at least `low`.

    Returns:
        The loss of each region, unweighted, at least float32.
    """
    exact = torch.promote_types(predicted.dtype, torch.float32)
    y, rl, ru = predicted.to(exact), low.to(exact), high.to(exact)
    return torch.clamp((y - (rl + ru) / 2) ** 2 - ((rl - ru) / 2) ** 2, min=0.0)  # (1)


def inverse_frequency_weights(scores: Iterable[int], lowest: float = 0.0, highest: float = 1.0) -> dict[int, float]:
    """Weight of each score: one over its frequency among the scores of the training set (dRAM, below equation (1)).

    Without a clamp the weight of a rare score has no bound: a score of one region in a thousand has weight 1000. The
    authors' released code clamps the frequency to 0.2-0.8.

    Args:
        scores: The training scores, one per region.
        lowest: Frequencies below it are set to it; 0 leaves them unchanged (the paper).
        highest: Frequencies above it are set to it; 1 leaves them unchanged (the paper).

    Returns:
        Score -> weight, for the scores that occur; empty if there are no scores.

    Raises:
        ValueError: Not 0 <= lowest <= highest <= 1, or highest is 0.
    """
    if not (0.0 <= lowest <= highest <= 1.0 and highest > 0.0):
        raise ValueError(f"frequencies must be clamped to a range inside 0-1, not {lowest}-{highest}")
    counts = Counter(int(score) for score in scores)
    total = counts.total()
    return {score: 1.0 / min(max(count / total, lowest), highest) for score, count in sorted(counts.items())}
