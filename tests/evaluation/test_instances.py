import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from weakmask.evaluation.instance_overlap import instance_overlap
from weakmask.evaluation.instances import (
    CRUMB_VOXELS,
    SIZE_BINS,
    average_precision,
    instance_scores,
    matched_predictions,
)
from weakmask.volume.files import read_volume


def line(*lengths_and_labels: tuple[int, int]) -> np.ndarray:
    """A volume of one row: (voxels, label), one after the other."""
    return np.concatenate([np.full(n, label) for n, label in lengths_and_labels])[None, None]


# three truths of 20, 12 and 8 voxels
TRUTH = line((20, 1), (5, 0), (12, 2), (5, 0), (8, 3), (30, 0))
# 16 of 20 (IoU 0.8), 8 of 12 (0.67), 8 of 8 (1.0), and a false one of 18
FOUND = line((16, 1), (9, 0), (8, 2), (9, 0), (8, 3), (2, 0), (18, 4), (10, 0))


def plain_average_precision(
    found: np.ndarray, truth: np.ndarray, threshold: float, ranking: dict[int, float], size: tuple[float, float]
) -> float:
    """The definition, with a loop over all pairs of instances."""
    true_sizes = {t: int((truth == t).sum()) for t in np.unique(truth).tolist() if t}
    counted = {t for t, n in true_sizes.items() if size[0] < n <= size[1]}
    right, wrong, taken, points = 0, 0, set(), []
    for p in sorted(ranking, key=lambda p: (-ranking[p], p)):
        mask = found == p
        match = None
        for t in true_sizes:
            iou = (mask & (truth == t)).sum() / (mask | (truth == t)).sum()
            if iou >= threshold and t not in taken:
                match = t
        taken.add(match)
        right += match in counted
        wrong += match is None and size[0] < mask.sum() <= size[1]
        points.append((right / len(counted), right / max(1, right + wrong)))
    best = [max((q for r, q in points if r >= k / 100 - 1e-12), default=0.0) for k in range(101)]
    return float(np.mean(best))


def test_average_precision_of_a_hand_made_case():
    """Ranked by size: a false one (18), the right one of 16, then 8 (IoU 0.67 or 0.8) and 8."""
    overlap = instance_overlap(FOUND, TRUTH)
    # at 0.75: false, true, false, true: precisions 0, 1/2, 1/3, 1/2 at recalls 0, 1/3, 1/3, 2/3; best is 1/2 up to 2/3
    assert average_precision(overlap, 0.75) == pytest.approx(67 * 0.5 / 101)
    # at 0.5: false, true, true, true: best precision is 3/4 at all recalls
    assert average_precision(overlap, 0.5) == pytest.approx(0.75)


def test_a_ranking_changes_the_order():
    overlap = instance_overlap(FOUND, TRUTH)
    # the false one last: precision is 1 up to recall 1/3, then 2/3 up to 2/3
    assert average_precision(overlap, 0.75, [4, 3, 2, 1]) == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    with pytest.raises(ValueError, match="3 numbers rank 4"):
        average_precision(overlap, 0.75, [1, 2, 3])


def noisy_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth of blocks, and a prediction with shifted, split, merged, missing and false blocks."""
    rng = np.random.default_rng(seed)
    truth, found = np.zeros((2, 40, 60), int), np.zeros((2, 40, 60), int)
    for number in range(24):
        y, x = 10 * (number // 6), 10 * (number % 6)
        h, w = rng.integers(2, 9, 2)
        truth[:, y : y + h, x : x + w] = number + 1
        way = rng.integers(0, 6)
        if way < 4:
            found[:, y : y + h - (way == 1), x + (way == 2) : x + w] = 100 - number
        if way == 3:
            found[1, y : y + h, x : x + w] = 200 + number
        if way == 4:
            found[:, y + 8 : y + 10, x : x + 9] = 300 + number
    return found, truth


@pytest.mark.parametrize("size", [(0, np.inf), (0, 40), (20, 60)])
@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_average_precision_is_the_plain_formula(threshold: float, size: tuple[float, float]):
    rng = np.random.default_rng(5)
    for seed in range(4):
        found, truth = noisy_pair(seed)
        overlap = instance_overlap(found, truth)
        for ranking in (overlap.predicted_voxels, rng.random(len(overlap.predicted))):
            plain = plain_average_precision(
                found, truth, threshold, dict(zip(overlap.predicted.tolist(), ranking.tolist(), strict=True)), size
            )
            assert average_precision(overlap, threshold, ranking, size) == pytest.approx(plain, abs=1e-12)
            assert 0 < plain < 1


def test_all_scores_of_the_hand_made_case():
    scores = instance_scores(instance_overlap(FOUND, TRUTH))
    assert (scores.tp, scores.fp, scores.fn) == (2, 2, 1)
    assert scores.accuracy_75 == pytest.approx(2 / 5)
    overlap = instance_overlap(FOUND, TRUTH)
    tenth = [average_precision(overlap, iou) for iou in (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)]
    assert scores.mean_ap == pytest.approx(sum(tenth) / 10)
    assert scores.ap_50 > scores.mean_ap > tenth[-1] > 0
    assert scores.panoptic == pytest.approx((0.8 + 8 / 12 + 1) / (3 + 0.5))
    assert scores.dice == pytest.approx(2 * 32 / (50 + 40))
    assert scores.jaccard == pytest.approx(32 / 58)
    assert (scores.splits, scores.merges) == (0, 0)
    assert (scores.predictions, scores.truths) == (4, 3)
    assert set(scores.row()) >= {"ap_75", "ap_50", "splits", "merges", "panoptic"}


def test_splits_and_merges_mirror_each_other():
    truth = line((10, 1), (10, 2), (5, 0), (20, 3))
    found = line((20, 1), (5, 0), (9, 2), (2, 0), (9, 3))
    scores = instance_scores(instance_overlap(found, truth))
    assert (scores.splits, scores.merges) == (1, 1)
    mirrored = instance_scores(instance_overlap(truth, found))
    assert (mirrored.splits, mirrored.merges) == (1, 1)


def test_exactly_half_is_neither_split_nor_merged():
    truth = line((10, 1), (10, 0))
    found = line((5, 1), (5, 2), (5, 2), (5, 1))  # each has half of its voxels inside
    assert instance_scores(instance_overlap(found, truth)).splits == 0
    assert instance_scores(instance_overlap(truth, found)).merges == 0


def test_a_truth_is_found_once():
    """Both halves have an IoU of exactly 0.5; only the first in rank is right."""
    overlap = instance_overlap(line((5, 1), (5, 2)), line((10, 1)))
    assert matched_predictions(overlap, 0.5).tolist() == [True, False]
    assert matched_predictions(overlap, 0.5, [1, 2]).tolist() == [False, True]


def test_crumbs_are_left_out_of_the_truth_alone():
    truth = line((3000, 1), (10, 0), (1000, 2), (10, 0), (1999, 3))
    overlap = instance_overlap(truth, truth)
    assert instance_scores(overlap).ap_75 == 1
    without = instance_scores(overlap.without_small_truths(CRUMB_VOXELS))
    assert (without.tp, without.fp, without.fn) == (1, 2, 0)
    assert without.ap_75 == 1  # the false ones are smaller, so they come behind


def test_bins_of_both_scorers_part_the_sizes():
    for bins in SIZE_BINS.values():
        edges = list(bins.values())
        assert edges[0][0] == 0
        assert math.isinf(edges[-1][1])
        assert all(a[1] == b[0] for a, b in pairwise(edges))
    truth = line((5000, 1), (1, 0), (5001, 2), (1, 0), (20000, 3))
    overlap = instance_overlap(truth, truth)
    assert average_precision(overlap, size=SIZE_BINS["authors"]["large"]) != 1  # nan: no truth above 30,000
    assert all(average_precision(overlap, size=size) == 1 for size in SIZE_BINS["mAP_3Dvolume"].values())


def test_nothing_true_or_nothing_found():
    nothing, something = np.zeros((1, 4, 4), int), np.ones((1, 4, 4), int)
    assert math.isnan(instance_scores(instance_overlap(something, nothing)).ap_75)
    empty = instance_scores(instance_overlap(nothing, something))
    assert (empty.ap_75, empty.accuracy_75, empty.panoptic) == (0, 0, 0)
    both = instance_scores(instance_overlap(nothing, nothing))
    assert math.isnan(both.panoptic)
    assert math.isnan(both.accuracy_75)


def test_thresholds_below_a_half_are_refused():
    with pytest.raises(ValueError, match=r"0\.5 to 1"):
        average_precision(instance_overlap(FOUND, TRUTH), 0.4)


def dilated(labels: np.ndarray) -> np.ndarray:
    """One voxel of background more on the right of every instance."""
    return np.where(labels == 0, np.roll(labels, 1, axis=2), labels)


@pytest.mark.real_data
def test_known_changes_of_real_instances(real_data: Callable[[str], Path]):
    """Of 39 true mitochondria two are cut, two pairs are joined, three are lost and one is false."""
    path = real_data("urocell_labels") / "mito" / "instance" / "fib1-0-0-0.nii.gz"
    truth = read_volume(path, "label").voxels
    labels, sizes = np.unique(truth[truth > 0], return_counts=True)
    order = labels[np.argsort(-sizes)].tolist()
    found = truth.copy()
    for number, label in enumerate(order[:2]):  # cut at half of their voxels
        voxels = np.flatnonzero(truth == label)
        found.flat[voxels[: len(voxels) // 2]] = 1000 + number
    for one, other in (order[2:4], order[4:6]):
        found[truth == other] = one
    found[np.isin(truth, order[6:9])] = 0
    found[:4, :4, :4] = np.where(truth[:4, :4, :4] == 0, 2000, found[:4, :4, :4])
    scores = instance_scores(instance_overlap(found, truth))
    assert (scores.splits, scores.merges) == (2, 2)
    assert (scores.predictions, scores.truths) == (len(labels) + 2 - 2 - 3 + 1, len(labels))
    assert scores.tp >= len(labels) - 2 - 4 - 3  # the larger one of a pair may still be found
    assert scores.tp + scores.fn == len(labels)
    same = instance_scores(instance_overlap(truth, truth))
    assert (same.ap_75, same.accuracy_75, same.panoptic, same.dice) == (1, 1, 1, 1)
    small = truth[::4, ::4, ::4]
    grown = instance_overlap(dilated(small), small)
    ranking = dict(zip(grown.predicted.tolist(), grown.predicted_voxels.tolist(), strict=True))
    plain = plain_average_precision(dilated(small), small, 0.75, ranking, (0, np.inf))
    assert average_precision(grown, 0.75) == pytest.approx(plain, abs=1e-12)
    assert 0 < plain < 1
