"""Overlap: counts against the plain formula and scikit-learn, sums, empty masks, and the subtypes' rule."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from weakmask.evaluation.overlap import LESION_SUBTYPES, SUBSETS, Overlap, overlap, subtype_overlaps

RATIOS = ("iou", "dice", "ppv", "sensitivity", "specificity")
counts = st.builds(Overlap, *(st.integers(0, 50) for _ in range(4)))
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, density: float = 0.4) -> np.ndarray:
    return np.random.default_rng(seed).random((3, 5, 7)) < density


def plain(prediction: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> Overlap:
    p, t = prediction[inside], truth[inside]
    return Overlap(int((p & t).sum()), int((p & ~t).sum()), int((~p & t).sum()), int((~p & ~t).sum()))


def test_ratios_by_hand() -> None:
    counted = Overlap(tp=6, fp=2, fn=4, tn=8)
    assert counted.iou == pytest.approx(6 / 12)
    assert counted.dice == pytest.approx(12 / 18)
    assert counted.ppv == pytest.approx(6 / 8)
    assert counted.sensitivity == pytest.approx(6 / 10)
    assert counted.specificity == pytest.approx(8 / 10)


@given(seeds, st.sampled_from([0.05, 0.4, 0.95]))
def test_ratios_are_those_of_scikit_learn(seed: int, density: float) -> None:
    prediction, truth = drawn(seed, density).ravel(), drawn(seed + 1).ravel()
    counted = overlap(prediction, truth)
    nan = {"zero_division": np.nan}
    assert counted.iou == pytest.approx(metrics.jaccard_score(truth, prediction, zero_division=0))
    assert counted.dice == pytest.approx(metrics.f1_score(truth, prediction, **nan), nan_ok=True)
    assert counted.ppv == pytest.approx(metrics.precision_score(truth, prediction, **nan), nan_ok=True)
    assert counted.sensitivity == pytest.approx(metrics.recall_score(truth, prediction, **nan), nan_ok=True)
    assert counted.specificity == pytest.approx(metrics.recall_score(~truth, ~prediction, **nan), nan_ok=True)


@given(counts, counts, counts)
def test_overlaps_add_like_their_counts(a: Overlap, b: Overlap, c: Overlap) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert sum([a, b, c], Overlap()) == Overlap(
        a.tp + b.tp + c.tp, a.fp + b.fp + c.fp, a.fn + b.fn + c.fn, a.tn + b.tn + c.tn
    )


@given(counts)
def test_iou_and_dice_say_the_same(counted: Overlap) -> None:
    if counted.tp + counted.fp + counted.fn == 0:
        assert math.isnan(counted.iou)
        assert math.isnan(counted.dice)
    else:
        assert counted.dice == pytest.approx(2 * counted.iou / (1 + counted.iou))
        assert 0 <= counted.iou <= counted.dice <= 1


def test_nothing_against_nothing_is_undefined() -> None:
    nothing = np.zeros((2, 3), bool)
    counted = overlap(nothing, nothing)
    assert counted == Overlap(tn=6)
    assert [math.isnan(getattr(counted, name)) for name in RATIOS] == [True, True, True, True, False]
    assert counted.specificity == 1
    assert not counted.has_lesions


def test_a_mark_in_a_scan_without_lesions_is_wrong() -> None:
    counted = overlap(np.ones((2, 3), bool), np.zeros((2, 3), bool))
    assert (counted.iou, counted.dice, counted.ppv, counted.specificity) == (0, 0, 0, 0)
    assert math.isnan(counted.sensitivity)


@given(seeds)
def test_the_fast_count_is_the_plain_one(seed: int) -> None:
    prediction, truth, inside = drawn(seed), drawn(seed + 1), drawn(seed + 2, 0.7)
    everywhere = np.ones_like(inside)
    assert overlap(prediction, truth) == plain(prediction, truth, everywhere)
    assert overlap(prediction, truth, inside) == plain(prediction, truth, inside)
    assert overlap(prediction.astype(np.uint8) * 255, 3 * truth.astype(np.int16), inside * 2) == plain(
        prediction, truth, inside
    )
    assert overlap(prediction.T, truth.T, inside.T) == plain(prediction, truth, inside)


def test_masks_larger_than_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[Overlap.__module__], "CHUNK", 16)
    prediction, truth, inside = drawn(1), drawn(2), drawn(3, 0.7)
    assert overlap(prediction, truth, inside) == plain(prediction, truth, inside)
    assert subtype_overlaps(prediction, truth.astype(np.uint8), inside)["all"] == plain(prediction, truth, inside)


@given(seeds)
def test_swapping_prediction_and_truth_keeps_iou_and_dice(seed: int) -> None:
    there, back = overlap(drawn(seed), drawn(seed + 1)), overlap(drawn(seed + 1), drawn(seed))
    assert there.iou == back.iou
    assert there.dice == back.dice
    assert there.ppv == back.sensitivity


@given(seeds)
def test_a_subtype_does_not_see_the_others(seed: int) -> None:
    prediction, inside = drawn(seed), drawn(seed + 2, 0.7)
    labels = np.random.default_rng(seed).integers(0, 4, prediction.shape)
    found = subtype_overlaps(prediction, labels, inside)
    assert tuple(found) == SUBSETS
    assert found["all"] == plain(prediction, labels > 0, inside)
    for name, label in LESION_SUBTYPES.items():
        own = inside & ((labels == label) | (labels == 0))
        assert found[name] == plain(prediction, labels == label, own)


def test_a_perfect_mask_is_perfect_for_every_subtype() -> None:
    labels = np.array([[0, 1, 2, 3], [0, 1, 2, 3]])
    found = subtype_overlaps(labels > 0, labels)
    assert {name: counted.iou for name, counted in found.items()} == dict.fromkeys(SUBSETS, 1.0)


def test_foreign_labels_shapes_and_fractions_are_refused() -> None:
    mask = np.zeros((2, 3), bool)
    with pytest.raises(ValueError, match=r"lesion labels are \[0, 255\]; expected 0 to 3"):
        subtype_overlaps(mask, np.array([[0, 255, 0], [0, 0, 0]]))
    with pytest.raises(ValueError, match="expected 0 to 3"):
        subtype_overlaps(mask, np.array([[0, -1, 0], [0, 0, 0]]))
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(3, 2\)"):
        overlap(mask, mask.T)
    with pytest.raises(ValueError, match="shapes"):
        overlap(mask, mask, mask[:1])
    with pytest.raises(ValueError, match="float64 values; expected booleans or whole numbers"):
        overlap(np.full((2, 3), 0.4), mask)
