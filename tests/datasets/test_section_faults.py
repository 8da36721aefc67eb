"""Faults of sections: each does the named thing, leaves its input alone and follows from its generator."""

from collections.abc import Callable

import numpy as np
import pytest

from weakmask.datasets.section_faults import (
    cut_blurred,
    cut_noisy,
    grey_changed,
    misaligned,
    missing_part,
    missing_sections,
    motion_blurred,
)

SHAPE = (9, 40, 50)


def stack(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE).astype(np.float32)


def changed_sections(before: np.ndarray, after: np.ndarray) -> list[int]:
    return [z for z in range(len(before)) if not np.array_equal(before[z], after[z])]


@pytest.mark.parametrize("fault", [grey_changed, missing_part, motion_blurred, cut_blurred, cut_noisy])
def test_a_fault_follows_from_its_generator_and_stays_between_0_and_1(fault: Callable[..., np.ndarray]):
    image = stack()
    found = [fault(image, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(image, stack())
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], image)
    assert found[0].dtype == np.float32
    assert found[0].min() >= 0
    assert found[0].max() <= 1 + 1e-6


def test_grey_values_change_by_section_or_all_together():
    flat = np.full(SHAPE, 0.5, np.float32)
    kinds = {len(np.unique(grey_changed(flat, np.random.default_rng(seed))[:, 0, 0])) for seed in range(20)}
    assert kinds == {1, SHAPE[0]}
    same = grey_changed(stack(), np.random.default_rng(0), contrast=0, brightness=0, octaves=0)
    np.testing.assert_allclose(same, stack(), atol=1e-6)


def test_a_smaller_strength_makes_smaller_changes_of_grey_values():
    flat = np.full(SHAPE, 0.5, np.float32)
    large, small, none = (grey_changed(flat, np.random.default_rng(3), strength) - flat for strength in (1.0, 0.3, 0.0))
    assert not none.any()
    assert 0 < np.abs(small).max() < 0.5 * np.abs(large).max()


def test_a_missing_part_is_a_band_at_the_mean_in_one_of_three_sections():
    image = stack()
    found = missing_part(image, np.random.default_rng(3), width=10)
    sections = changed_sections(image, found)
    assert len(sections) >= 2
    assert min(np.diff(sections)) >= 3
    for z in sections:
        band = found[z] != image[z]
        np.testing.assert_allclose(found[z][band], image[z].mean(), atol=1e-6)
        assert 10 * 8 < band.sum() < 10 * 80


def test_missing_sections_go_with_their_labels():
    labels = np.arange(SHAPE[0], dtype=np.int32)[:, None, None].repeat(40, 1).repeat(50, 2)
    image, left = missing_sections(labels.astype(np.float32), labels, np.random.default_rng(0))
    assert np.array_equal(image, left)
    assert len(left) == SHAPE[0] - 2
    assert left[0, 0, 0] == 0
    assert left[-1, 0, 0] == SHAPE[0] - 1


def test_a_misalignment_moves_image_and_labels_of_one_section_or_the_rest():
    labels = np.random.default_rng(1).integers(0, 9, SHAPE).astype(np.int32)
    kinds = set()
    for seed in range(30):
        image, moved = misaligned(labels.astype(np.float32), labels, np.random.default_rng(seed), pixels=5)
        sections = changed_sections(labels, moved)
        assert sections == list(range(sections[0], sections[-1] + 1)) if sections else True
        kinds.add("one" if len(sections) == 1 else "rest" if sections and sections[-1] == SHAPE[0] - 1 else "none")
        whole = np.abs(image - moved) < 1e-3
        assert whole.mean() > 0.1
    assert {"one", "rest"} <= kinds


def test_motion_blurs_two_sections_along_one_axis():
    image = stack()
    found = motion_blurred(image, np.random.default_rng(0))
    sections = changed_sections(image, found)
    assert len(sections) == 2
    steps = [np.abs(np.diff(found[sections], axis=axis)).mean() for axis in (1, 2)]
    assert min(steps) < 0.3 * max(steps)


@pytest.mark.parametrize("fault", [cut_blurred, cut_noisy])
def test_a_cuboid_has_two_fifths_of_each_side(fault: Callable[..., np.ndarray]):
    image = stack()
    places = np.argwhere(fault(image, np.random.default_rng(0)) != image)
    assert (np.ptp(places, axis=0) + 1).tolist() == [4, 16, 20]


def test_cut_blur_repeats_pixels_and_keeps_the_mean():
    image = np.tile(np.array([0.2, 0.8], np.float32), (9, 40, 25))
    found = cut_blurred(image, np.random.default_rng(0), factors=(4, 4))
    inside = found[found != image]
    assert np.abs(inside - 0.5).max() < 0.11
    assert abs(found.mean() - 0.5) < 0.02
