"""Mask and contour of instances: touching ones are parted, and windows lie within sections."""

import numpy as np
import pytest

from weakmask.datasets.instance_targets import half_width_in_voxels, mask_and_contour, with_parted_instances


def two_touching() -> np.ndarray:
    labels = np.zeros((1, 9, 12), np.int32)
    labels[:, 2:7, 1:6], labels[:, 2:7, 6:11] = 1, 2
    return labels


def test_touching_instances_are_parted_and_borders_with_background_stay():
    parted = with_parted_instances(two_touching())
    assert parted[0, 4].tolist() == [0, 1, 1, 1, 1, 0, 0, 2, 2, 2, 2, 0]
    assert parted[0, :, 1].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]


def test_sections_do_not_part_each_other():
    labels = np.stack([np.full((6, 6), 1, np.int32), np.full((6, 6), 2, np.int32)])
    assert np.array_equal(with_parted_instances(labels), labels)
    assert not mask_and_contour(labels)[1].any()


def plain_contour(labels: np.ndarray, half_width: int) -> np.ndarray:
    found = np.zeros(labels.shape, bool)
    depth, rows, columns = labels.shape
    for z in range(depth):
        for y in range(rows):
            for x in range(columns):
                window = labels[
                    z, max(0, y - half_width) : y + half_width + 1, max(0, x - half_width) : x + half_width + 1
                ]
                found[z, y, x] = len(np.unique(window)) > 1
    return found


@pytest.mark.parametrize("half_width", [1, 2])
def test_the_contour_is_where_a_window_is_not_uniform(half_width: int):
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 4, (2, 4, 5)), np.ones((1, 4, 4), int)).astype(np.int32)
    mask, contour = mask_and_contour(labels, half_width)
    parted = with_parted_instances(labels)
    assert np.array_equal(mask, parted > 0)
    assert np.array_equal(contour, plain_contour(parted, half_width))
    assert np.array_equal(mask_and_contour(labels, half_width, part=False)[1], plain_contour(labels, half_width))


def test_the_band_lies_on_both_sides_of_a_border():
    labels = np.zeros((1, 1, 12), np.int32)
    labels[..., 6:] = 3
    assert mask_and_contour(labels, 2)[1][0, 0].tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_the_half_width_is_in_nanometres_and_at_least_a_voxel():
    assert [half_width_in_voxels(16, pixel) for pixel in (4.6, 8, 20, 50)] == [3, 2, 1, 1]
