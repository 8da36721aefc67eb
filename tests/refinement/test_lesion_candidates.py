"""Otsu's threshold against trying all of them, and lesion candidates against voxel-by-voxel rules."""

import math

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from weakmask.refinement.lesion_candidates import lesion_candidates
from weakmask.refinement.otsu import otsu_threshold
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume


def scan(seed: int = 0) -> tuple[Volume, np.ndarray, np.ndarray]:
    """A chest in miniature: two lobes near -850, lesions near -400 in both, vessels near 30; wall outside."""
    rng = np.random.default_rng(seed)
    regions = np.zeros((4, 24, 30), np.uint8)
    regions[:, 2:22, 2:14], regions[:, 2:22, 16:28] = 1, 3
    vessels = (rng.random(regions.shape) < 0.05) & (regions > 0)
    lesions = (rng.random(regions.shape) < 0.2) & (regions > 0)
    hu = np.where(regions > 0, -850, 40) + np.where(lesions, np.where(regions == 1, 500, 300), 0)
    hu = np.where(vessels, 30, hu) + rng.normal(0, 20, regions.shape)
    geometry = Geometry(regions.shape, (3.0, 1.0, 1.0))
    return Volume(np.rint(hu).astype(np.int16), geometry), regions, vessels


def plain_otsu(values: np.ndarray) -> int:
    """The integer that leaves the least variance within both classes, the largest value excluded."""
    tried = np.arange(values.min(), values.max())
    within = [
        np.var(values[values <= t]) * (values <= t).sum() + np.var(values[values > t]) * (values > t).sum()
        for t in tried
    ]
    return int(tried[np.argmin(within)])


@pytest.mark.parametrize("seed", range(3))
def test_otsu_leaves_the_least_variance_within(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.rint(np.concatenate([rng.normal(-60, 20, 300), rng.normal(50, 10, 80)])).astype(np.int16)
    found = otsu_threshold(values)
    np.testing.assert_array_equal(values > found, values > plain_otsu(values))


@pytest.mark.parametrize("values", [np.zeros(0), np.full(5, 3.5), np.full((2, 2), -800, np.int16)])
def test_nothing_lies_above_the_threshold_of_one_class(values: np.ndarray) -> None:
    assert otsu_threshold(values) == math.inf
    assert not (values > otsu_threshold(values)).any()


@pytest.mark.parametrize("factor", [1.0, 0.75])
def test_each_region_has_its_own_threshold(factor: float) -> None:
    image, regions, vessels = scan()
    plain = np.zeros(regions.shape, bool)
    for label in (1, 3):
        scaled = np.clip((image.voxels + 1150) / 1500, 0, 1)
        inside = regions == label
        plain |= inside & (scaled > factor * threshold_otsu(scaled[inside])) & ~vessels
    found = lesion_candidates(image, regions, vessels, factor)
    assert found.kind == "label"
    assert found.voxels.dtype == np.uint8
    assert found.geometry is image.geometry
    np.testing.assert_array_equal(found.voxels > 0, plain)
    assert 0 < plain.sum() < (regions > 0).sum()


def test_a_mask_is_one_region() -> None:
    image, regions, _ = scan()
    lungs = regions > 0
    found = lesion_candidates(image, lungs).voxels > 0
    threshold = otsu_threshold(np.clip(image.voxels[lungs], -1150.0, 350.0))
    np.testing.assert_array_equal(found, lungs & (image.voxels > threshold))
    assert (found != (lesion_candidates(image, regions).voxels > 0)).any()


def test_a_smaller_factor_lets_more_through() -> None:
    image, regions, vessels = scan()
    strict, lenient = (lesion_candidates(image, regions, vessels, f).voxels > 0 for f in (1.0, 0.6))
    assert strict.sum() < lenient.sum()
    assert not (strict & ~lenient).any()


def test_the_window_keeps_metal_from_moving_the_threshold() -> None:
    image, regions, _ = scan()
    metal = image.voxels.copy()
    metal[0, 3, 3:6] = 3000
    clipped = image.with_voxels(np.where(metal == 3000, 350, metal))
    both = (lesion_candidates(v, regions).voxels for v in (image.with_voxels(metal), clipped))
    np.testing.assert_array_equal(*both)


def test_regions_without_two_classes_are_empty() -> None:
    image, regions, vessels = scan()
    flat = image.with_voxels(np.full_like(image.voxels, -850))
    assert not lesion_candidates(flat, regions).voxels.any()
    assert not lesion_candidates(image, np.zeros_like(regions)).voxels.any()
    assert not lesion_candidates(image, regions, np.ones_like(vessels)).voxels.any()
    single = np.zeros_like(regions)
    single[2, 5, 5] = 4
    assert not lesion_candidates(image, single).voxels.any()


def test_a_single_slice() -> None:
    image, regions, vessels = scan()
    picture = Volume(image.voxels[:1], image.geometry.with_shape((1, *regions.shape[1:])))
    found = lesion_candidates(picture, regions[:1], vessels[:1]).voxels
    assert 0 < found.sum() < (regions[:1] > 0).sum()
