"""Components, gaps and distances of masks, against the plain formulas."""

import numpy as np
import pytest
from scipy import ndimage

from weakmask.volume.morphology import (
    EDGES,
    closed,
    components,
    distance_mm,
    enclosed,
    grown,
    label_slices,
    margin_voxels,
    object_boxes,
    open_to_side,
    rim,
    worn,
)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).random((6, 7, 8)) < 0.4


def test_components_join_across_faces_only() -> None:
    mask = np.zeros((2, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[1, 1, 1] = True
    labels, count = components(mask)
    assert count == 2
    assert labels[0, 1, 1] == labels[1, 1, 1] != labels[0, 0, 0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_labelled_each_for_itself(noise: np.ndarray, axis: int) -> None:
    labels, count = label_slices(noise, axis)
    slices = [ndimage.label(s) for s in np.moveaxis(noise, axis, 0)]
    assert count == sum(n for _, n in slices)
    for ours, (plain, n) in zip(np.moveaxis(labels, axis, 0), slices, strict=True):
        assert len(np.unique(ours[ours > 0])) == n
        pairs = np.unique(np.stack([ours[ours > 0], plain[plain > 0]]), axis=1)
        assert pairs.shape[1] == n


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_open_to_side_is_what_filling_holes_leaves(noise: np.ndarray, axis: int) -> None:
    gaps = ~noise
    plain = [s & ~(ndimage.binary_fill_holes(~s) & s) for s in np.moveaxis(gaps, axis, 0)]
    np.testing.assert_array_equal(np.moveaxis(open_to_side(gaps, axis), axis, 0), plain)


def test_enclosed_takes_a_vessel_but_not_a_dome() -> None:
    lung = np.ones((12, 12, 12), dtype=bool)
    lung[5, 5, 2:9] = False  # a vessel inside
    lung[:6, 8:10, 8:10] = False  # a dome that rises from the bottom
    gaps = enclosed(lung)
    assert gaps[5, 5, 2:9].all()
    assert gaps.sum() == 7


def test_enclosed_in_a_single_slice() -> None:
    ring = np.ones((1, 5, 5), dtype=bool)
    ring[0, 2, 2] = ring[0, 0, 0] = False
    assert np.argwhere(enclosed(ring)).tolist() == [[0, 2, 2]]


def test_distance_is_in_millimetres_and_infinite_without_an_outside() -> None:
    mask = np.ones((3, 3, 5), dtype=bool)
    assert np.isinf(distance_mm(mask, (1.0, 1.0, 1.0))).all()
    mask[:, :, 0] = False
    np.testing.assert_allclose(distance_mm(mask, (2.0, 2.0, 0.5))[1, 1], [0.0, 0.5, 1.0, 1.5, 2.0])


def test_closing_is_a_ball_s_and_reaches_the_edge() -> None:
    spacing = (2.0, 1.0, 1.0)
    mask = np.random.default_rng(1).random((7, 12, 12)) < 0.1
    radius = 3.0
    z, y, x = np.indices((5, 9, 9)) - np.array([2, 4, 4]).reshape(3, 1, 1, 1)
    ball = (2 * z) ** 2 + y**2 + x**2 <= radius**2
    wide = np.pad(mask, 6)
    plain = ndimage.binary_erosion(ndimage.binary_dilation(wide, ball), ball)[6:-6, 6:-6, 6:-6]
    np.testing.assert_array_equal(closed(mask, radius, spacing), plain)
    flat = np.zeros((4, 4, 4), dtype=bool)
    flat[:2] = True
    np.testing.assert_array_equal(closed(flat, 2.5, (1.0, 1.0, 1.0)), flat)


def test_rim_worn_and_grown_fit_together(noise: np.ndarray) -> None:
    block = np.zeros((5, 6, 7), dtype=bool)
    block[:3, 1:5, 2:6] = True
    np.testing.assert_array_equal(rim(block), block & ~worn(block))
    assert worn(block)[0, 2, 3]  # the grid's edge is not outside
    assert not worn(block)[2].any()
    np.testing.assert_array_equal(grown(noise, EDGES), ndimage.binary_dilation(noise, EDGES))
    within = noise | np.roll(noise, 1, axis=0)
    assert not (grown(noise, steps=3, within=within) & ~within).any()


def test_object_boxes_are_tight_and_skip_absent_labels() -> None:
    labels = np.zeros((4, 5, 6), dtype=np.uint16)
    labels[1:3, 2, 4:6] = 7
    labels[0, 0, 0] = 2
    boxes = dict(object_boxes(labels))
    assert list(boxes) == [2, 7]
    assert boxes[7].start == (1, 2, 4)
    assert boxes[7].stop == (3, 3, 6)
    assert (labels[boxes[7].slices] == 7).all()


def test_margins_are_rounded_up_but_not_by_dust() -> None:
    assert margin_voxels(5.0, (2.0, 2.5, 0.7)) == (3, 2, 8)
    assert margin_voxels(0.3, (0.1, 0.1, 0.1)) == (3, 3, 3)
    assert margin_voxels(0.0, (1.0, 1.0, 1.0)) == (0, 0, 0)
