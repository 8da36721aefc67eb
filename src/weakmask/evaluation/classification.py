"""How well a classifier tells images that hold a class from those that do not: AUC and F1, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata


@dataclass(frozen=True)
class ClassifierScore:
    """A score of one class with its 95 % interval; nan where it is undefined.

    Attributes:
        value: Of all images.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def auc(present: Bool[np.ndarray, " images"], probability: Float[np.ndarray, " images"]) -> float:
    """Area under the ROC curve: the chance that an image with the class gets the higher value; a tie counts a half.

    Returns:
        nan where all images have the class, or none has.
    """
    positives = int(present.sum())
    negatives = present.size - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(probability)
    return float((ranks[present].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def f1(present: Bool[np.ndarray, " images"], probability: Float[np.ndarray, " images"], cut: float = 0.5) -> float:
    """2 TP / (2 TP + FP + FN) of images called positive where the probability is at least the cut.

    Returns:
        nan where no image has the class and none is called so.
    """
    called = probability >= cut
    hits, either = int((called & present).sum()), int(called.sum()) + int(present.sum())
    return 2 * hits / either if either else float("nan")


def with_interval(
    score: Callable[[np.ndarray, np.ndarray], float],
    present: Bool[np.ndarray, " images"],
    probability: Float[np.ndarray, " images"],
    groups: Sequence[Any],
    resamples: int = 1000,
    seed: int = 0,
) -> ClassifierScore:
    """A score with its percentile bootstrap interval of 95 %; all images of a group are drawn together.

    Args:
        score: `auc` or `f1`.
        present: Whether each image has the class.
        probability: The value that the classifier gives each image, finite.
        groups: The patient of each image, or the image.
        resamples: Draws.
        seed: Of the draws.

    Raises:
        ValueError: The lengths differ, or a probability is not finite.
    """
    if not len(present) == len(probability) == len(groups):
        came = f"{len(present)} labels, {len(probability)} probabilities, {len(groups)} groups"
        raise ValueError(f"{came}; expected as many of each")
    if not np.isfinite(probability).all():
        raise ValueError("a probability is not finite")
    members = [np.flatnonzero(group) for group in _one_hot(groups)]
    value, chooser = score(present, probability), np.random.default_rng(seed)
    found = []
    for _ in range(resamples if len(members) > 1 else 0):
        drawn = np.concatenate([members[i] for i in chooser.integers(len(members), size=len(members))])
        found.append(score(present[drawn], probability[drawn]))
    finite = np.asarray(found, dtype=float)
    finite = finite[np.isfinite(finite)]
    low, high = np.quantile(finite, [0.025, 0.975]) if finite.size else (np.nan, np.nan)
    return ClassifierScore(value, float(low), float(high))


def _one_hot(groups: Sequence[Any]) -> np.ndarray:
    names, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return np.arange(len(names))[:, None] == group[None, :]
