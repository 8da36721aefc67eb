"""Scores of instances: average precision, accuracy, splits, merges, panoptic quality.

Average precision follows COCO and its 3-D form for mitochondria (Lin et al. 2014; Wei et al. 2020, MitoEM). Its
intersection over union (IoU) thresholds start at 0.5, from where on a match is unique.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from weakmask.evaluation.instance_overlap import InstanceOverlap

CRUMB_VOXELS = 2_000  # truths below this are left out by the authors' scorer of Li et al. 2021 (C)
SIZE_BINS = {  # (above, up to) voxels: of mAP_3Dvolume, and of the authors' scorer
    "mAP_3Dvolume": {"small": (0, 5e3), "medium": (5e3, 1.5e4), "large": (1.5e4, np.inf)},
    "authors": {"small": (0, 5e3), "medium": (5e3, 3e4), "large": (3e4, np.inf)},
}
COCO_IOUS = tuple(np.arange(50, 100, 5) / 100)
_RECALLS = 100  # steps: 0, 0.01, ... 1
SizeBin = tuple[float, float]


@dataclass(frozen=True)
class InstanceScores:
    """Scores of one label volume against the truth.

    Attributes:
        ap_75: Average precision at IoU 0.75, predictions ranked as in `average_precision`; nan without truths.
        ap_50: The same at IoU 0.5.
        mean_ap: The mean at the IoUs 0.5, 0.55, ... 0.95, COCO's AP; single instances near a threshold move it less.
        accuracy_75: TP / (TP + FP + FN) at IoU 0.75; nan if nothing is predicted and nothing is true.
        tp: True positives: predictions with a truth at IoU 0.75 or above.
        fp: False positives: the other predictions.
        fn: False negatives: truths without such a prediction.
        splits: Truths that contain more than half of each of two or more predictions.
        merges: Predictions that contain more than half of each of two or more truths.
        panoptic: Panoptic quality: the IoU of all matches above 0.5, divided by TP + FP / 2 + FN / 2 at that threshold.
        dice: Dice of the foreground.
        jaccard: IoU of the foreground.
        predictions: Predicted instances.
        truths: True instances.
    """

    ap_75: float
    ap_50: float
    mean_ap: float
    accuracy_75: float
    tp: int
    fp: int
    fn: int
    splits: int
    merges: int
    panoptic: float
    dice: float
    jaccard: float
    predictions: int
    truths: int

    def row(self) -> dict[str, float]:
        """The scores by name, for a table."""
        return asdict(self)


def instance_scores(overlap: InstanceOverlap, ranking: Sequence[float] | np.ndarray | None = None) -> InstanceScores:
    """All scores of a prediction.

    Args:
        overlap: The counts of `instance_overlap`; `without_small_truths(CRUMB_VOXELS)` of them scores without crumbs.
        ranking: As in `average_precision`.
    """
    true = int(matched_predictions(overlap, 0.75, ranking).sum())
    predictions, truths = len(overlap.predicted), len(overlap.true)
    foreground = overlap.foreground
    return InstanceScores(
        ap_75=average_precision(overlap, 0.75, ranking),
        ap_50=average_precision(overlap, 0.5, ranking),
        mean_ap=float(np.mean([average_precision(overlap, threshold, ranking) for threshold in COCO_IOUS])),
        accuracy_75=_ratio(true, predictions + truths - true),
        tp=true,
        fp=predictions - true,
        fn=truths - true,
        splits=splits(overlap),
        merges=merges(overlap),
        panoptic=panoptic_quality(overlap),
        dice=foreground.dice,
        jaccard=foreground.iou,
        predictions=predictions,
        truths=truths,
    )


def average_precision(
    overlap: InstanceOverlap,
    threshold: float = 0.75,
    ranking: Sequence[float] | np.ndarray | None = None,
    size: SizeBin = (0, np.inf),
) -> float:
    """Average precision: the mean over the recalls 0, 0.01, ... 1 of the best precision at that recall or above.

    Predictions are ranked; each that reaches the IoU with a truth not yet found is a true positive. Recalls that are
    never reached have precision 0. Recall is compared in whole numbers, without rounding.

    Args:
        overlap: The counts of `instance_overlap`.
        threshold: Least IoU of a match, from 0.5 to 1.
        ranking: One number for each of `overlap.predicted`, higher first. None: their sizes, the default of the
            scorer mAP_3Dvolume. Equal ones stay in the order of their labels.
        size: Only truths of more than the first and up to the second number of voxels count. Predictions that match
            other truths are left out, and so are those without a match whose own size is outside.

    Returns:
        From 0 to 1; nan if no truth counts.

    Raises:
        ValueError: The threshold is below 0.5, or the ranking is not one number for each prediction.
    """
    truth_of = _truth_of_predictions(overlap, threshold, ranking)
    order = _ranked(overlap, ranking)
    counted = _inside(overlap.true_voxels, size)
    truths = int(counted.sum())
    if truths == 0:
        return float("nan")
    matched = truth_of >= 0
    right = matched & np.append(counted, False)[truth_of]  # -1 reads the appended one
    wrong = ~matched & _inside(overlap.predicted_voxels, size)
    found, false = np.cumsum(right[order]), np.cumsum(wrong[order])
    precision = found / np.maximum(found + false, 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    first = np.searchsorted(found * _RECALLS, np.arange(_RECALLS + 1) * truths)  # the first rank that reaches a recall
    return float(best[first].mean())


def matched_predictions(
    overlap: InstanceOverlap, threshold: float = 0.75, ranking: Sequence[float] | np.ndarray | None = None
) -> np.ndarray:
    """Which of `overlap.predicted` are true positives; arguments and errors as in `average_precision`."""
    return _truth_of_predictions(overlap, threshold, ranking) >= 0


def splits(overlap: InstanceOverlap) -> int:
    """Truths that are split: each contains more than half of each of two or more predictions."""
    held = 2 * overlap.shared > overlap.predicted_voxels[overlap.prediction_of]
    return int((np.bincount(overlap.truth_of[held], minlength=1) > 1).sum())


def merges(overlap: InstanceOverlap) -> int:
    """Predictions that merge: each contains more than half of each of two or more truths."""
    held = 2 * overlap.shared > overlap.true_voxels[overlap.truth_of]
    return int((np.bincount(overlap.prediction_of[held], minlength=1) > 1).sum())


def panoptic_quality(overlap: InstanceOverlap) -> float:
    """Panoptic quality (Kirillov et al. 2019): sum of the matches' IoU / (TP + FP / 2 + FN / 2), matches above 0.5.

    Returns:
        From 0 to 1; nan if nothing is predicted and nothing is true.
    """
    matched = overlap.iou[overlap.iou > 0.5]
    return _ratio(2 * float(matched.sum()), len(overlap.predicted) + len(overlap.true))


def _truth_of_predictions(
    overlap: InstanceOverlap, threshold: float, ranking: Sequence[float] | np.ndarray | None
) -> np.ndarray:
    """Index of the truth that each prediction finds, -1 for none; a truth goes to the first in rank."""
    if not 0.5 <= threshold <= 1:
        raise ValueError(f"the IoU threshold is {threshold}; expected 0.5 to 1, where matches are unique")
    rank = np.empty(len(overlap.predicted), dtype=np.int64)
    rank[_ranked(overlap, ranking)] = np.arange(len(rank))
    truth_of = np.full(len(overlap.predicted), -1, dtype=np.int64)
    taken: set[int] = set()
    for _, prediction, truth in sorted(overlap.matches(threshold), key=lambda match: (rank[match[1]], match[0])):
        if truth not in taken and truth_of[prediction] < 0:
            taken.add(truth)
            truth_of[prediction] = truth
    return truth_of


def _ranked(overlap: InstanceOverlap, ranking: Sequence[float] | np.ndarray | None) -> np.ndarray:
    scores = overlap.predicted_voxels if ranking is None else np.asarray(ranking, dtype=float)
    if scores.shape != overlap.predicted.shape:
        raise ValueError(f"{scores.size} numbers rank {len(overlap.predicted)} predictions; expected one for each")
    return np.argsort(-scores, kind="stable")


def _inside(voxels: np.ndarray, size: SizeBin) -> np.ndarray:
    return (voxels > size[0]) & (voxels <= size[1])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
