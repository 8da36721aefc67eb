"""The table of an overlap gives the overlap back; intervals hold the score and shrink with more instances."""

import math

import numpy as np
import pytest

from weakmask.evaluation.instance_overlap import InstanceOverlap, instance_overlap, pooled_overlap
from weakmask.evaluation.instances import instance_scores
from weakmask.evaluation.overlap_table import COLUMNS, instance_interval, overlap_of, overlap_table

TRUTH = np.array([[[0, 4, 4, 4, 0, 9, 9, 0, 3]]])
FOUND = np.array([[[2, 2, 2, 0, 0, 7, 7, 5, 0]]])
NOTHING = np.zeros_like(TRUTH)
RANDOM = np.random.default_rng(0).integers(0, 9, (2, 4, 5, 6))


def accuracy(overlap: InstanceOverlap) -> float:
    return instance_scores(overlap).accuracy_75


@pytest.mark.parametrize(
    ("found", "truth"), [(FOUND, TRUTH), tuple(RANDOM), (NOTHING, TRUTH), (FOUND, NOTHING), (NOTHING, NOTHING)]
)
def test_a_table_holds_the_whole_overlap(found: np.ndarray, truth: np.ndarray) -> None:
    overlap = instance_overlap(found, truth)
    table = overlap_table(overlap)
    assert tuple(table.columns) == COLUMNS
    again = overlap_of(table.sample(frac=1, random_state=0))
    for name in ("predicted", "predicted_voxels", "true", "true_voxels"):
        assert getattr(again, name).tolist() == getattr(overlap, name).tolist()
    found_pairs, pairs = (
        sorted(zip(one.prediction_of.tolist(), one.truth_of.tolist(), one.shared.tolist(), strict=True))
        for one in (again, overlap)
    )
    assert found_pairs == pairs
    assert again.grid_voxels == (truth.size if len(table) else 0)


def test_an_interval_holds_its_score_and_shrinks_with_more_instances() -> None:
    one = instance_overlap(FOUND, TRUTH)  # of 3 truths one is found, with 2 false predictions
    few, many = pooled_overlap([one] * 5), pooled_overlap([one] * 80)
    widths = []
    for overlap in (few, many):
        low, high = instance_interval([overlap], accuracy, 60)
        assert low < accuracy(overlap) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    assert instance_interval([many, many], accuracy, 60)[0] > instance_interval([many], accuracy, 60)[0]


def test_certain_scores_have_no_width_and_none_have_no_interval() -> None:
    assert instance_interval([instance_overlap(TRUTH, TRUTH)], accuracy, 20) == (1.0, 1.0)
    assert instance_interval([instance_overlap(NOTHING, TRUTH)], accuracy, 20) == (0.0, 0.0)
    empty = instance_interval([instance_overlap(NOTHING, NOTHING)], accuracy, 20)
    assert all(math.isnan(end) for end in empty)
