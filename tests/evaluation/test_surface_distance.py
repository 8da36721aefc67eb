import math

import numpy as np
import pytest

from weakmask.evaluation.surface_distance import mean_surface_distance, surface

SPACING = (2.0, 1.0, 0.5)


def block(start: int) -> np.ndarray:
    mask = np.zeros((7, 9, 20), bool)
    mask[2:5, 2:7, start : start + 6] = True
    return mask


def test_equal_masks_have_no_distance_and_empty_ones_none() -> None:
    assert mean_surface_distance(block(3), block(3), SPACING) == 0
    assert math.isnan(mean_surface_distance(block(3), np.zeros_like(block(3)), SPACING))


def test_the_distance_is_in_mm_and_counts_both_surfaces() -> None:
    one, other = np.zeros((1, 1, 9), bool), np.zeros((1, 1, 9), bool)
    one[..., 1], other[..., 3], other[..., 4] = True, True, True
    # 1 -> 3: two voxels; 3 -> 1: two; 4 -> 1: three; each of 0.5 mm
    assert mean_surface_distance(one, other, SPACING) == pytest.approx((1 + 1 + 1.5) / 3)
    assert mean_surface_distance(other, one, SPACING) == mean_surface_distance(one, other, SPACING)


def test_thick_slices_count_more() -> None:
    moved_z, moved_x = (np.roll(block(3), 1, axis) for axis in (0, 2))
    assert mean_surface_distance(block(3), moved_z, SPACING) > mean_surface_distance(block(3), moved_x, SPACING)


def test_the_surface_is_what_touches_the_outside() -> None:
    found = surface(block(3))
    assert found.sum() == 3 * 5 * 6 - 1 * 3 * 4
    assert surface(np.ones((2, 2, 2), bool)).all()  # beyond the grid is outside
