"""The baselines: the cumulative-histogram search against trying every threshold, Otsu per region, and nothing."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.filters import threshold_otsu

from weakmask.evaluation.overlap import overlap
from weakmask.losses.interval_regression import inverse_frequency_weights
from weakmask.region_learning.threshold_baselines import (
    HU_EDGES,
    choose_fixed_threshold,
    fixed_threshold_mask,
    otsu_in_regions,
    predict_nothing,
    region_histograms,
    value_histogram,
)
from weakmask.scoring.severity import CT_SEVERITY, region_fractions


def scan(seed: int, lesion_share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU, regions 1 and 2, lesions: parenchyma near -850, lesions near -500 in part of region 1."""
    rng = np.random.default_rng(seed)
    regions = np.zeros((6, 20, 20), np.uint8)
    regions[:, 2:10, 2:18], regions[:, 10:18, 2:18] = 1, 2
    lesions = (regions == 1) & (rng.random(regions.shape) < lesion_share)
    voxels = rng.normal(-850, 40, regions.shape) + 350 * lesions
    voxels[regions == 0] = -1000
    return np.rint(voxels).astype(np.int16), regions, lesions


def plain_loss(fraction: float, score: int) -> float:
    low, high = CT_SEVERITY.interval(score)
    return max(0.0, (fraction - (low + high) / 2) ** 2 - ((low - high) / 2) ** 2)


def plain_losses(
    scans: list[tuple[np.ndarray, np.ndarray]], scores: list[int], edges: np.ndarray, weights: dict[int, float]
) -> np.ndarray:
    """The mean loss of every threshold, one mask after the other."""
    losses = []
    for edge in edges:
        fractions = [f for v, r in scans for f in region_fractions(v >= edge, r, [1, 2]).values()]
        terms = [weights[score] * plain_loss(f, score) for f, score in zip(fractions, scores, strict=True)]
        losses.append(sum(terms) / sum(weights[score] for score in scores))
    return np.array(losses)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_choice_is_that_of_trying_every_threshold(weighted: bool) -> None:
    scans = [scan(seed, share)[:2] for seed, share in enumerate([0.0, 0.03, 0.1, 0.4])]
    scores = [0, 0, 1, 0, 2, 0, 3, 1]  # the last one is a reader's error
    weights = inverse_frequency_weights(scores) if weighted else dict.fromkeys(range(6), 1.0)
    edges = np.arange(-950.0, -399.0)
    histograms = np.concatenate([region_histograms(v, r, [1, 2], edges) for v, r in scans])
    chosen = choose_fixed_threshold(histograms, edges, scores, CT_SEVERITY, weights if weighted else None)
    losses = plain_losses(scans, scores, edges, weights)
    assert losses[edges == chosen][0] == pytest.approx(losses.min(), abs=1e-12)
    assert losses[edges == chosen - 150][0] > losses.min()


def test_the_chosen_threshold_segments() -> None:
    scans = [scan(seed, share) for seed, share in enumerate([0.0, 0.03, 0.15, 0.4, 0.6, 0.9])]
    given = [CT_SEVERITY.score_of(f) for _, r, t in scans for f in region_fractions(t, r, [1, 2]).values()]
    histograms = np.concatenate([region_histograms(v, r, [1, 2]) for v, r, _ in scans])
    threshold = choose_fixed_threshold(histograms, HU_EDGES, given, CT_SEVERITY)
    assert -780 < threshold < -580
    voxels, regions, lesions = scan(99, 0.3)
    assert overlap(fixed_threshold_mask(voxels, regions, [1, 2], threshold), lesions, regions > 0).dice > 0.97


def test_the_middle_of_equally_good_thresholds_is_taken() -> None:
    edges = np.arange(0.0, 11.0)
    values = np.array([0.5] * 9 + [9.5])  # a tenth is lesion for every threshold from 1 to 9: score 2
    histograms = value_histogram(values, edges)[None]
    assert choose_fixed_threshold(histograms, edges, [2], CT_SEVERITY) == 5.0


def test_pictures_have_thresholds_too() -> None:
    edges = np.arange(0, 257) / 256
    rng = np.random.default_rng(0)
    regions = np.ones((1, 40, 40), np.uint8)
    picture = np.where(rng.random(regions.shape) < 0.4, 0.7, 0.2) + rng.normal(0, 0.03, regions.shape)
    histograms = region_histograms(picture, regions, [1], edges)
    threshold = choose_fixed_threshold(histograms, edges, [3], CT_SEVERITY)
    assert 0.3 < threshold < 0.6


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.int16, np.uint8, np.float32, np.float64]))
def test_a_histogram_counts_what_stands_between_the_edges(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    edges = np.unique(np.round(rng.uniform(-20, 60, 7), int(rng.integers(0, 2))))
    values = rng.integers(0, 80, 50).astype(dtype)
    found = value_histogram(values, edges)
    borders = [-np.inf, *edges, np.inf]
    plain = [int(((values >= a) & (values < b)).sum()) for a, b in pairwise(borders)]
    assert found.tolist() == plain
    below = [int((values >= edge).sum()) for edge in edges]
    assert np.cumsum(found[::-1])[-2::-1].tolist() == below


def test_very_wide_integers_are_counted_too() -> None:
    values = np.array([-(2**40), 5, 2**40])
    assert value_histogram(values, np.array([0.0, 2.0**30])).tolist() == [1, 1, 1]


def test_an_empty_region_has_no_say() -> None:
    voxels, regions, _ = scan(2, 0.1)
    edges = np.arange(-950.0, -399.0)
    with_empty = region_histograms(voxels, regions, [1, 2, 5], edges)
    assert with_empty[2].sum() == 0
    alone = choose_fixed_threshold(with_empty[:2], edges, [2, 0], CT_SEVERITY)
    assert choose_fixed_threshold(with_empty, edges, [2, 0, 5], CT_SEVERITY) == alone


def test_histograms_that_do_not_fit_are_refused() -> None:
    edges = np.arange(5.0)
    with pytest.raises(ValueError, match=r"histograms are \(2, 5\); expected \(2, 6\)"):
        choose_fixed_threshold(np.ones((2, 5), int), edges, [0, 1], CT_SEVERITY)
    with pytest.raises(ValueError, match="no region has voxels"):
        choose_fixed_threshold(np.zeros((2, 6), int), edges, [0, 1], CT_SEVERITY)


def test_a_fixed_threshold_marks_only_the_regions_asked_for() -> None:
    voxels = np.array([[-300, -700, -300], [-500, -300, -499]])
    regions = np.array([[1, 1, 2], [1, 0, 3]])
    found = fixed_threshold_mask(voxels, regions, [1, 3], -500.0)
    assert found.tolist() == [[True, False, False], [True, False, True]]


def test_otsu_has_a_threshold_for_each_region() -> None:
    voxels, regions, lesions = scan(1, 0.4)
    found = otsu_in_regions(voxels, regions, [1, 2, 7])
    for label in (1, 2):
        own = regions == label
        np.testing.assert_array_equal(found[own], voxels[own] > threshold_otsu(voxels[own]))
    assert not found[regions == 0].any()
    assert overlap(found, lesions, regions == 1).dice > 0.97
    assert found[regions == 2].mean() > 0.3  # it marks the healthy region just as well


def test_otsu_leaves_a_region_of_one_value_alone() -> None:
    regions = np.ones((2, 3), np.uint8)
    assert not otsu_in_regions(np.full((2, 3), -800), regions, [1]).any()
    assert not otsu_in_regions(np.arange(6).reshape(2, 3), regions, []).any()


def test_nothing_is_nothing() -> None:
    mask = predict_nothing(np.zeros((2, 3, 4)))
    assert mask.shape == (2, 3, 4)
    assert mask.dtype == bool
    assert not mask.any()


@pytest.mark.real_data
def test_on_real_slices_the_fixed_threshold_beats_otsu(real_data: Callable[[str], Path]) -> None:
    """50 real slices with expert masks: each half's scores choose the threshold for the other half."""
    folder = real_data("covid_semiseg")
    rows = np.loadtxt(folder / "scores_expert.csv", delimiter=",", skiprows=1, dtype=int)
    given = {(name, region): score for name, region, score in rows.tolist()}
    slices = {name: real_slice(folder / "train_expert", name) for name, _ in given}
    edges = np.arange(301) / 300
    fixed, otsu = [], []
    for training, judged in ((list(slices)[::2], list(slices)[1::2]), (list(slices)[1::2], list(slices)[::2])):
        histograms = np.concatenate([region_histograms(*slices[name][:2], [1, 2], edges) for name in training])
        wanted = [given[name, region] for name in training for region in (1, 2)]
        weights = inverse_frequency_weights(wanted)
        threshold = choose_fixed_threshold(histograms, edges, wanted, CT_SEVERITY, weights)
        for image, regions, truth in (slices[name] for name in judged):
            mask = fixed_threshold_mask(image, regions, [1, 2], threshold)
            fixed.append(overlap(mask, truth, regions > 0).dice)
            otsu.append(overlap(otsu_in_regions(image, regions, [1, 2]), truth, regions > 0).dice)
    assert np.nanmean(fixed) > np.nanmean(otsu) + 0.03
    assert np.nanmean(fixed) > 0.48


def real_slice(folder: Path, name: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, regions and truth; the pictures have two windows, so each is scaled from its own air to soft tissue."""
    files = (folder / "images" / f"{name}.jpg", folder / "regions" / f"{name}.png", folder / "masks" / f"{name}.png")
    picture, regions, truth = (np.asarray(Image.open(file).convert("L")) for file in files)
    air, tissue = np.percentile(picture[regions > 0], 5), np.percentile(picture[regions == 0], 90)
    return (picture - air) / (tissue - air), regions, truth
