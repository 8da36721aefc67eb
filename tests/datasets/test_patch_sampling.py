"""Where training patches lie."""

import numpy as np
import pytest

from weakmask.datasets.patch_sampling import MOST_PLACES, dark_places, draw_centre, draw_volume, foreground_places


def labels_with(place: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros((10, 40, 40), np.int32)
    labels[place] = 5
    return labels


def test_half_of_the_patches_hold_the_only_voxel_of_the_foreground():
    labels, rng = labels_with((5, 20, 20)), np.random.default_rng(0)
    centres = [draw_centre((10, 40, 40), (2, 4, 4), rng, foreground_places(labels), 0.5) for _ in range(400)]
    assert 0.42 < np.mean([centre == (5, 20, 20) for centre in centres]) < 0.6


def test_patches_lie_inside_and_reach_every_corner():
    rng = np.random.default_rng(1)
    places = foreground_places(labels_with((0, 39, 0)))
    around = draw_centre((10, 40, 40), (4, 8, 8), rng, places, 1.0)
    assert around == (2, 36, 4)
    centres = np.array([draw_centre((10, 40, 40), (4, 8, 8), rng) for _ in range(3000)])
    assert centres.min(axis=0).tolist() == [2, 4, 4]
    assert centres.max(axis=0).tolist() == [8, 36, 36]


def test_a_volume_smaller_than_a_patch_gives_its_middle():
    assert draw_centre((3, 40, 40), (8, 8, 8), np.random.default_rng(0))[0] in {1, 2}


def test_large_volumes_are_drawn_more_often():
    rng = np.random.default_rng(2)
    draws = [draw_volume([(1, 10, 10), (3, 10, 10)], rng) for _ in range(800)]
    assert np.mean(draws) == pytest.approx(0.75, abs=0.05)


def test_dark_places_are_as_dark_as_the_foreground_and_outside():
    image, labels = np.full((3, 60, 60), 200, np.uint8), np.zeros((3, 60, 60), np.int32)
    labels[:, 5:20, 5:20] = 1
    image[:, 5:20, 5:20] = 80
    image[:, 35:55, 35:55] = 40  # dark and large
    image[:, 5:20, 40] = 40  # dark and thin: in the mean over the surroundings it is bright
    places = np.unravel_index(dark_places(image, labels), image.shape)
    found = np.zeros(image.shape, bool)
    found[places] = True
    assert found[:, 38:52, 38:52].all()
    assert not found[:, :34].any()
    assert not found[..., :34].any()


def test_without_a_foreground_nothing_is_as_dark_as_it():
    assert len(dark_places(np.zeros((2, 20, 20), np.uint8), np.zeros((2, 20, 20), np.int32))) == 0


def test_the_places_of_a_large_foreground_are_thinned():
    places = foreground_places(np.ones((3, 300, 400), np.uint8))
    assert len(places) <= MOST_PLACES
    assert places[-1] > 350_000
