"""Electron microscopy phantoms: the same from a seed, with instances that touch, and no easier than real stacks."""

from collections.abc import Callable
from pathlib import Path

import cc3d
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from weakmask.phantoms.em_bodies import touching_pairs
from weakmask.phantoms.em_stack import STYLES, EMPhantom, make_em_phantom
from weakmask.phantoms.em_statistics import best_threshold_dice, stack_statistics

SHAPE, SPACING_NM = (10, 144, 144), (30.0, 13.0, 13.0)


@pytest.fixture(scope="module")
def phantoms() -> list[EMPhantom]:
    return [make_em_phantom(seed, SHAPE, SPACING_NM) for seed in range(3)]


def test_the_same_seed_gives_the_same_stack(phantoms: list[EMPhantom]):
    again = make_em_phantom(0, SHAPE, SPACING_NM)
    for name in ("image", "instances", "clean"):
        assert np.array_equal(getattr(again, name).voxels, getattr(phantoms[0], name).voxels)
    assert not np.array_equal(phantoms[1].image.voxels, phantoms[0].image.voxels)


def test_the_grid_is_in_millimetres(phantoms: list[EMPhantom]):
    geometry = phantoms[0].image.geometry
    assert geometry.shape == SHAPE
    assert geometry.spacing_mm == pytest.approx((30e-6, 13e-6, 13e-6))
    assert phantoms[0].instances.geometry == geometry
    assert phantoms[0].image.voxels.dtype == np.uint8


def test_each_instance_is_one_piece_and_pairs_that_touch_are_known(phantoms: list[EMPhantom]):
    for phantom in phantoms:
        labels = phantom.instances.voxels
        assert cc3d.connected_components(labels, connectivity=6).max() == labels.max()
        assert phantom.touching == touching_pairs(labels)


def test_no_instance_is_a_crumb() -> None:
    """Section shifts cut off pieces of 1 or 2 voxels, which no network can find: a fifth of the instances."""
    seed = int(np.random.SeedSequence([1, 0]).generate_state(1)[0])
    labels = make_em_phantom(seed, (12, 160, 160), (30.0, 16.0, 16.0), STYLES["easy"]).instances.voxels
    sizes = np.bincount(labels.ravel())[1:]
    assert len(sizes) >= 5
    assert sizes.min() * 30 * 16 * 16 >= 2.5e5


def test_phantoms_are_like_real_stacks(phantoms: list[EMPhantom]):
    rows = [stack_statistics(phantom.image.voxels, phantom.instances.voxels) for phantom in phantoms]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    assert 0.05 < mean["foreground"] < 0.1
    assert 0.75 < mean["neighbours"] < 0.9
    assert 0.2 < mean["threshold"] < 0.53
    assert 0.1 < mean["touching"] < 0.35
    assert mean["components"] < mean["instances"]  # touching instances are one component


def test_mitochondria_have_a_dark_rim_and_are_darker_than_their_surroundings():
    phantom = make_em_phantom(5, SHAPE, SPACING_NM, STYLES["easy"])
    mask, grey = phantom.instances.voxels > 0, phantom.clean.voxels
    assert grey[mask].mean() < grey[~mask].mean() - 25
    inside = ndimage.binary_erosion(mask, np.ones((1, 5, 5)))
    assert grey[mask & ~inside].mean() < grey[inside].mean() - 10


def test_noise_and_faults_are_options():
    phantom = make_em_phantom(0, (8, 64, 64), (30.0, 16.0, 16.0), STYLES["noisy"])
    noise = phantom.image.voxels.astype(float) - phantom.clean.voxels
    plain = make_em_phantom(0, (8, 64, 64), (30.0, 16.0, 16.0))
    assert noise.std() > 2 * (plain.image.voxels.astype(float) - plain.clean.voxels).std()
    assert np.array_equal(plain.clean.voxels, phantom.clean.voxels)


def test_a_threshold_of_a_made_up_image():
    labels = np.array([[[0, 0, 1, 1]]], np.int32)
    assert best_threshold_dice(np.array([[[200, 200, 10, 20]]], np.uint8), labels) == 1.0
    assert best_threshold_dice(np.array([[[5, 200, 10, 20]]], np.uint8), labels) == pytest.approx(0.8)
    assert touching_pairs(np.array([[[1, 2, 0, 3]], [[1, 0, 3, 3]]], np.int32)) == {(1, 2)}


@pytest.mark.real_data
def test_real_stacks_have_such_numbers(real_data: Callable[[str], Path]):
    folder = real_data("cdeep3m_sbem")
    names = [f"{number:03d}.png" for number in range(20, 26)]
    image, mask = (
        np.stack([np.asarray(Image.open(folder / part / name)) for name in names]) for part in ("noisy", "mitochondria")
    )
    labels = cc3d.connected_components((mask > 0).astype(np.uint8), connectivity=6)
    row = stack_statistics(image, np.asarray(labels))
    assert 0.05 < row["foreground"] < 0.11
    assert 0.7 < row["neighbours"] < 0.88
    assert 0.3 < row["threshold"] < 0.6
