"""Components by size and holes, against SciPy one component after the other."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from scipy import ndimage

from weakmask.refinement import components as module
from weakmask.refinement.components import drop_small, fill_holes, fill_holes_in_slices, keep_largest

SHAPES = [(9, 10, 11), (1, 20, 20), (30, 1, 7)]


def noise(shape: tuple[int, int, int], share: float = 0.35, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


def plain_components(mask: np.ndarray, neighbours: int) -> list[np.ndarray]:
    """One mask per component."""
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[neighbours])
    labels, count = ndimage.label(mask, structure)
    return [labels == n for n in range(1, count + 1)]


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many slabs also on small grids."""
    monkeypatch.setattr(module, "_SLAB", 150)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("neighbours", [6, 18, 26])
def test_small_components_go(shape: tuple[int, int, int], neighbours: Literal[6, 18, 26]) -> None:
    mask = noise(shape, 0.3 if neighbours == 6 else 0.12)
    before = mask.copy()
    plain = np.zeros_like(mask)
    for part in plain_components(mask, neighbours):
        plain |= part & (part.sum() >= 3)
    found = drop_small(mask, 3, neighbours=neighbours)
    assert 0 < found.sum() < mask.sum()
    np.testing.assert_array_equal(found, plain)
    np.testing.assert_array_equal(mask, before)


def test_a_size_in_millimetres_is_reached_by_the_voxels_that_fill_it() -> None:
    mask = np.zeros((3, 5, 9), dtype=bool)
    mask[1, 1, 1:4] = mask[1, 3, 1:8] = True
    spacing_mm = (0.7, 0.1, 0.1)
    assert drop_small(mask, 7 * 0.7 * 0.1 * 0.1, spacing_mm).sum() == 7
    assert drop_small(mask, 7.1 * 0.7 * 0.1 * 0.1, spacing_mm).sum() == 0
    np.testing.assert_array_equal(drop_small(mask, 0), mask)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [0, 1, 2, 10_000])
def test_the_largest_components_stay(shape: tuple[int, int, int], count: int) -> None:
    mask = noise(shape)
    parts = sorted(plain_components(mask, 6), key=lambda part: -part.sum())[:count]
    np.testing.assert_array_equal(keep_largest(mask, count), np.any(parts, axis=0) if parts else np.zeros_like(mask))


def test_of_two_as_large_the_first_stays() -> None:
    mask = np.zeros((2, 3, 4), dtype=bool)
    mask[0, 2, 3] = mask[1, 0, 0] = mask[0, 0, 2] = True
    assert np.argwhere(keep_largest(mask)).tolist() == [[0, 0, 2]]
    assert np.argwhere(keep_largest(mask, 2)).tolist() == [[0, 0, 2], [0, 2, 3]]


@pytest.mark.parametrize("seed", range(5))
def test_holes_are_those_of_scipy(seed: int) -> None:
    mask = noise((8, 9, 10), 0.75, seed)
    filled = fill_holes(mask)
    assert filled.sum() > mask.sum()
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(mask))
    shifted = np.pad(mask, 3)  # the box ends inside the grid
    np.testing.assert_array_equal(fill_holes(shifted), ndimage.binary_fill_holes(shifted))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_holes_of_slices_are_those_of_scipy(axis: int) -> None:
    mask = noise((8, 9, 10), 0.6)
    plain = np.stack([ndimage.binary_fill_holes(s) for s in np.moveaxis(mask, axis, 0)], axis=axis)
    filled = fill_holes_in_slices(mask, axis)
    assert filled.sum() > mask.sum()
    np.testing.assert_array_equal(filled, plain)


def test_in_a_single_slice_the_slice_decides() -> None:
    mask = noise((1, 20, 20), 0.6)
    assert fill_holes(mask).sum() > mask.sum()
    np.testing.assert_array_equal(fill_holes(mask), fill_holes_in_slices(mask))


def test_large_holes_stay_where_a_limit_is_given() -> None:
    mask = np.ones((5, 5, 12), dtype=bool)
    mask[2, 2, 1:3] = mask[2, 2, 5:11] = False
    assert (~fill_holes(mask, 2)).sum() == 6
    assert (~fill_holes(mask, 3.0, (1.5, 1.0, 1.0))).sum() == 6  # two voxels are 3 mm^3
    assert (~fill_holes(mask, 2.9, (1.5, 1.0, 1.0))).sum() == 8
    assert fill_holes(mask).all()


@pytest.mark.parametrize("clean", [lambda m: drop_small(m, 5), keep_largest, fill_holes, fill_holes_in_slices])
def test_empty_and_full_masks_stay(clean: Callable[[np.ndarray], np.ndarray]) -> None:
    empty, full = np.zeros((3, 4, 5), dtype=bool), np.ones((3, 4, 5), dtype=bool)
    np.testing.assert_array_equal(clean(empty), empty)
    np.testing.assert_array_equal(clean(full), full)
    np.testing.assert_array_equal(clean(full.transpose()), full.transpose())
