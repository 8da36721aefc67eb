import numpy as np
import pytest

from weakmask.evaluation.instance_overlap import instance_overlap, pooled_overlap

TRUTH = np.array([[[0, 4, 4, 4, 0, 9, 9, 0]]])
FOUND = np.array([[[2, 2, 2, 0, 0, 7, 7, 5]]])


def test_sizes_and_shared_voxels():
    overlap = instance_overlap(FOUND, TRUTH)
    assert overlap.predicted.tolist() == [2, 5, 7]
    assert overlap.predicted_voxels.tolist() == [3, 1, 2]
    assert overlap.true.tolist() == [4, 9]
    assert overlap.true_voxels.tolist() == [3, 2]
    assert overlap.prediction_of.tolist() == [0, 2]
    assert overlap.truth_of.tolist() == [0, 1]
    assert overlap.shared.tolist() == [2, 2]
    assert overlap.iou.tolist() == [0.5, 1.0]
    assert list(overlap.matches(0.6)) == [(1, 2, 1)]


def test_the_foreground_counts_all_instances():
    foreground = instance_overlap(FOUND, TRUTH).foreground
    assert (foreground.tp, foreground.fp, foreground.fn, foreground.tn) == (4, 2, 1, 1)


def test_without_small_ones():
    overlap = instance_overlap(FOUND, TRUTH)
    fewer = overlap.without_small_predictions(3)
    assert fewer.predicted.tolist() == [2]
    assert fewer.shared.tolist() == [2]
    assert fewer.foreground.tp == 2
    fewer = overlap.without_small_truths(3)
    assert fewer.true.tolist() == [4]
    assert fewer.predicted.tolist() == [2, 5, 7]
    assert fewer.truth_of.tolist() == [0]


@pytest.mark.parametrize(("found", "truth"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_volumes_without_background_or_instances(found: int, truth: int):
    overlap = instance_overlap(np.full((2, 2, 2), found), np.full((2, 2, 2), truth))
    assert (overlap.predicted_voxels.sum(), overlap.true_voxels.sum()) == (8 * found, 8 * truth)
    assert overlap.shared.sum() == 8 * found * truth
    assert overlap.grid_voxels == 8


def test_pooled_volumes_are_one_beside_the_other():
    pooled = pooled_overlap([instance_overlap(FOUND, TRUTH), instance_overlap(TRUTH, FOUND)])
    beside = instance_overlap(
        np.concatenate([FOUND, np.where(TRUTH, TRUTH + 100, 0)]),
        np.concatenate([TRUTH, np.where(FOUND, FOUND + 100, 0)]),
    )
    for name in ("predicted_voxels", "true_voxels", "prediction_of", "truth_of", "shared"):
        assert getattr(pooled, name).tolist() == getattr(beside, name).tolist(), name
    assert pooled.grid_voxels == beside.grid_voxels
    assert pooled.predicted.tolist() == [1, 2, 3, 4, 5]
