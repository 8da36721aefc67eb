"""Masks of classes against the truth, image by image and pooled, under names that say what happens to empty masks.

Papers that learn masks from image labels report different means under one name. Viniavskyi et al. 2020 average IoU
over all images and count an empty mask on an empty truth as 1: predicting nothing then scores the share of images
without the class. Here each mean has its own name, and `positives` leaves such images out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

IGNORED = 255  # the label of pixels that do not count, as in PASCAL VOC
Confusions = Integer[np.ndarray, "images classes classes"]


@dataclass(frozen=True)
class MaskScores:
    """Means over images; `foreground` is any class but background. A mean of nothing is nan.

    Attributes:
        positives: Mean IoU of the foreground, over images whose truth has some.
        all_empty_1: Mean IoU of the foreground over all images; 1 where prediction and truth are empty.
        dice: Mean Dice of the foreground over all images; 1 where both are empty.
        pooled: IoU of the foreground, the pixels of all images counted together.
        background: IoU of the background, pixels counted together.
        classes: IoU of each class from 1 up, pixels counted together; nan for a class that is nowhere.
        mean_iou: Mean of the IoU of the background and of the classes that are somewhere, as PASCAL VOC has it.
        empties_right: Share of the images without foreground that are predicted without.
    """

    positives: float
    all_empty_1: float
    dice: float
    pooled: float
    background: float
    classes: tuple[float, ...]
    mean_iou: float
    empties_right: float


def class_confusion(
    prediction: Integer[np.ndarray, "*space"], truth: Integer[np.ndarray, "*space"], classes: int
) -> Integer[np.ndarray, "classes classes"]:
    """How many pixels of each true class (row) got each predicted class (column).

    Args:
        prediction: 0 for background, then the classes.
        truth: The same, and `IGNORED` where a pixel does not count.
        classes: Number of classes with the background.

    Raises:
        ValueError: The shapes differ, or a label is not one of the classes.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"masks have shapes {prediction.shape} and {truth.shape}; expected one grid")
    counts = truth != IGNORED
    rows, columns = truth[counts].astype(np.int64), prediction[counts].astype(np.int64)
    for labels in (rows, columns):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"labels {labels.min()} to {labels.max()}; expected 0 to {classes - 1}, or {IGNORED}")
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes)


def mask_scores(confusions: Confusions, weights: Float[np.ndarray, " images"] | None = None) -> MaskScores:
    """The scores of a set of images.

    Args:
        confusions: `class_confusion` of each.
        weights: How often each image counts; None: once.
    """
    counted = np.ones(len(confusions)) if weights is None else weights
    both, marked, true = _foreground(confusions)
    has, found = true > 0, marked > 0
    union = marked + true - both
    iou = np.where(union > 0, both / np.maximum(union, 1), 1.0)
    dice = np.where(union > 0, 2 * both / np.maximum(marked + true, 1), 1.0)
    pooled = np.tensordot(counted, confusions.astype(float), axes=1)
    by_class = _iou_of_classes(pooled)
    here = counted @ np.stack([both, union], axis=1)
    return MaskScores(
        positives=_mean(iou, counted * has),
        all_empty_1=_mean(iou, counted),
        dice=_mean(dice, counted),
        pooled=float(here[0] / here[1]) if here[1] else float("nan"),
        background=float(by_class[0]),
        classes=tuple(float(value) for value in by_class[1:]),
        mean_iou=float(np.nanmean(by_class)) if np.isfinite(by_class).any() else float("nan"),
        empties_right=_mean(~found, counted * ~has),
    )


def score_interval(
    confusions: Confusions,
    groups: Sequence[Any],
    measure: Callable[[MaskScores], float],
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of one score; all images of a group are drawn together.

    Args:
        confusions: `class_confusion` of each image.
        groups: The patient of each image, or the image.
        measure: Which score, for example `lambda scores: scores.mean_iou`.
        resamples: Draws.
        level: Share of the draws inside the interval.
        seed: Of the draws.

    Returns:
        (low, high); both nan for fewer than two groups, and where no draw has the score.

    Raises:
        ValueError: Other than one group per image.
    """
    return score_intervals(confusions, groups, (measure,), resamples, level, seed)[0]


def score_intervals(
    confusions: Confusions,
    groups: Sequence[Any],
    measures: Sequence[Callable[[MaskScores], float]],
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[tuple[float, float]]:
    """The intervals of several scores from the same draws, see `score_interval`.

    Raises:
        ValueError: Other than one group per image.
    """
    if len(groups) != len(confusions):
        raise ValueError(f"{len(confusions)} images and {len(groups)} groups; expected as many")
    names, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    share = np.full(len(names), 1 / max(len(names), 1))
    found = []
    for draw in np.random.default_rng(seed).multinomial(len(names), share, size=resamples if len(names) > 1 else 0):
        scores = mask_scores(confusions, draw[group].astype(float))
        found.append([measure(scores) for measure in measures])
    return [_percentiles(np.array([values[i] for values in found]), level) for i in range(len(measures))]


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _foreground(confusions: Confusions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Foreground pixels of each image: in both, in the prediction, in the truth."""
    both = confusions[:, 1:, 1:].sum((1, 2))
    return both, confusions[:, :, 1:].sum((1, 2)), confusions[:, 1:, :].sum((1, 2))


def _iou_of_classes(pooled: np.ndarray) -> np.ndarray:
    right = np.diagonal(pooled)
    union = pooled.sum(0) + pooled.sum(1) - right
    return np.divide(right, union, out=np.full(right.shape, np.nan), where=union > 0)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total else float("nan")
