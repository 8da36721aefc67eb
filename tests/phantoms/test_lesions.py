"""Planting lesions into any scan: exact extent, what stays visible, where they prefer to be, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from weakmask.phantoms.lesions import plant_lesions
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

GEOMETRY = Geometry((48, 56, 64), (3.0, 3.0, 3.0), origin_mm=(-700.0, 12.0, 250.0))


def chest(dtype: type = np.int16) -> tuple[Volume, Volume]:
    """A made-up "real" scan: two boxes of noisy lung in muscle, a few straight vessels; regions 4 and 7."""
    rng = np.random.default_rng(0)
    hu = np.full(GEOMETRY.shape, 40.0)
    regions = np.zeros(GEOMETRY.shape, np.int16)
    regions[6:42, 8:48, 6:28], regions[6:42, 8:48, 36:58] = 4, 7
    hu[regions > 0] = -850
    hu[:, 20, 10:54:6] = 30
    hu += rng.normal(0, 15, hu.shape)
    return Volume(np.rint(hu).astype(dtype), GEOMETRY), Volume(regions, GEOMETRY, "label")


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.6, 0.97, 1.0])
def test_the_extent_is_exact(fraction):
    image, regions = chest()
    _, truth = plant_lesions(image, regions, {4: fraction}, seed=2)
    inside = regions.voxels == 4
    assert (truth.voxels[inside] > 0).sum() == round(fraction * inside.sum())
    assert not truth.voxels[~inside].any()
    assert set(np.unique(truth.voxels)) <= {0, 1, 2, 3}


def test_same_seed_same_lesions_and_the_scan_is_left_alone():
    image, regions = chest()
    before = image.voxels.copy()
    first, truth = plant_lesions(image, regions, {4: 0.2, 7: 0.1}, seed=3)
    again, truth_again = plant_lesions(image, regions, {7: 0.1, 4: 0.2}, seed=3)
    other, _ = plant_lesions(image, regions, {4: 0.2, 7: 0.1}, seed=4)
    assert np.array_equal(first.voxels, again.voxels)
    assert np.array_equal(truth.voxels, truth_again.voxels)
    assert not np.array_equal(first.voxels, other.voxels)
    assert np.array_equal(image.voxels, before)
    assert first.geometry == image.geometry
    assert first.voxels.dtype == image.voxels.dtype


def test_healthy_regions_and_tissue_around_keep_every_voxel():
    image, regions = chest()
    planted, _ = plant_lesions(image, regions, {4: 0.5, 7: 0.0}, seed=5)
    far = gaussian_filter((regions.voxels == 4).astype(float), 3) < 1e-4
    assert np.array_equal(planted.voxels[far], image.voxels[far])
    assert np.array_equal(planted.voxels[regions.voxels == 0], image.voxels[regions.voxels == 0])
    nothing, truth = plant_lesions(image, regions, {}, seed=5)
    assert np.array_equal(nothing.voxels, image.voxels)
    assert not truth.voxels.any()


def test_lesions_are_denser_and_noise_and_vessels_stay_visible():
    image, regions = chest(np.float32)
    gains, noise, contrast = [], [], []
    for seed in range(4):
        planted, truth = plant_lesions(image, regions, {4: 0.5, 7: 0.5}, seed=seed)
        vessel = np.broadcast_to(image.voxels > -300, truth.voxels.shape) & (regions.voxels > 0)
        glass = truth.voxels == 1
        gains.append(np.median((planted.voxels - image.voxels)[glass & ~vessel]))
        added = planted.voxels - image.voxels  # smooth: what is left of the scan's noise is all of it
        rough = image.voxels - gaussian_filter(image.voxels, 1)
        kept = planted.voxels - gaussian_filter(planted.voxels, 1)
        core = gaussian_filter(glass.astype(float), 2) > 0.9
        noise.append(np.corrcoef(rough[core & ~vessel], kept[core & ~vessel])[0, 1])
        contrast.append(np.median(planted.voxels[glass & vessel]) - np.median(planted.voxels[glass & ~vessel]))
        assert added[regions.voxels == 0].max() == 0
    assert 80 < np.median(gains) < 420
    assert np.median(noise) > 0.6
    assert np.median(contrast) > 200


def test_vessels_given_are_left_out_of_ground_glass_and_open_airways_stay_air():
    image, regions = chest(np.float32)
    vessels = (image.voxels > -300) & (regions.voxels > 0)
    airways = np.zeros(GEOMETRY.shape, bool)
    airways[:, 30, 10:54:6] = True
    voxels = image.voxels.copy()
    voxels[airways & (regions.voxels > 0)] = -1000
    for seed in range(3):
        planted, truth = plant_lesions(image.with_voxels(voxels), regions, {4: 0.5}, seed, vessels, airways)
        assert not (truth.voxels[vessels] == 1).any()
        lumen = airways & (truth.voxels == 2)
        if lumen.any():
            assert np.median(planted.voxels[lumen]) < -700


def test_lesions_prefer_the_periphery_the_back_and_the_base():
    image, regions = chest()
    places, everywhere = [], np.argwhere(regions.voxels > 0)
    for seed in range(25):
        _, truth = plant_lesions(image, regions, {4: 0.05, 7: 0.05}, seed=seed)
        places.append(np.argwhere(truth.voxels > 0).mean(axis=0))
    shift = np.mean(places, axis=0) - everywhere.mean(axis=0)
    assert shift[0] < -1  # the base is at low z
    assert shift[1] > 1  # the back is at high y


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_scan_gets_the_same_lesions(axis):
    image, regions = chest()
    _, truth = plant_lesions(image, regions, {4: 0.2}, seed=6)
    _, flipped = plant_lesions(image.flip(axis), regions.flip(axis), {4: 0.2}, seed=6)
    one, other = truth.voxels > 0, flipped.flip(axis).voxels > 0
    assert (one & other).sum() > 0.75 * (one | other).sum()


def test_what_cannot_be_planted_is_refused():
    image, regions = chest()
    with pytest.raises(ValueError, match="no voxels"):
        plant_lesions(image, regions, {9: 0.1}, seed=0)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        plant_lesions(image, regions, {4: 1.5}, seed=0)
    moved = Volume(regions.voxels, replace(GEOMETRY, origin_mm=(0.0, 0.0, 0.0)), "label")
    with pytest.raises(ValueError, match="different grids"):
        plant_lesions(image, moved, {4: 0.1}, seed=0)
    sagittal = Geometry(GEOMETRY.shape, (3.0, 3.0, 3.0), direction=((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    with pytest.raises(ValueError, match="axial"):
        plant_lesions(Volume(image.voxels, sagittal), Volume(regions.voxels, sagittal, "label"), {4: 0.1}, seed=0)
