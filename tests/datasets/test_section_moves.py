"""Moves within sections: image and labels stay together, and each move does the named thing."""

import math

import numpy as np
import pytest

from weakmask.datasets.section_moves import bent, extent, flipped, looked_up, plane_map, rescaled, rotated


def stack() -> np.ndarray:
    return np.random.default_rng(0).random((3, 8, 10)).astype(np.float32)


def test_the_plain_map_changes_nothing():
    labels = np.arange(240, dtype=np.int32).reshape(3, 8, 10)
    assert np.array_equal(looked_up(labels, plane_map((8, 10))), labels)
    np.testing.assert_allclose(looked_up(stack(), plane_map((8, 10))), stack(), atol=1e-5)


def test_a_quarter_turn_is_a_quarter_turn():
    labels = np.arange(64, dtype=np.int32).reshape(1, 8, 8)
    turned = looked_up(labels, rotated(plane_map((8, 8)), math.pi / 2))
    assert np.array_equal(turned, np.rot90(labels, -1, axes=(1, 2)))


def test_enlarging_shows_the_middle_larger():
    labels = np.arange(8, dtype=np.int32)[None, :, None].repeat(8, axis=2)
    found = looked_up(labels, rescaled(plane_map((8, 8)), (2.0, 1.0)))
    assert found[0, :, 0].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]


def test_grey_values_are_interpolated_and_mirrored_beyond_the_border():
    ramp = np.arange(6, dtype=np.float32)[None, None, :].repeat(4, axis=1)
    offsets = plane_map((4, 6)) + np.array([0, 0.5], np.float32)[:, None, None]
    np.testing.assert_allclose(looked_up(ramp, offsets)[0, 0], [0.5, 1.5, 2.5, 3.5, 4.5, 4.5], atol=1e-5)
    labels = ramp.astype(np.int32)
    assert looked_up(labels, plane_map((4, 6)) + np.float32(2))[0, 0].tolist() == [2, 3, 4, 5, 4, 3]


def test_bending_is_smooth_and_the_same_in_all_sections():
    offsets = bent(plane_map((40, 40)), np.random.default_rng(1))
    change = offsets - plane_map((40, 40))
    assert 0.2 < np.abs(change).max() < 16
    assert np.abs(np.diff(change, axis=2)).max() < 1
    image = np.broadcast_to(np.random.default_rng(2).random((40, 40)).astype(np.float32), (3, 40, 40))
    found = looked_up(np.ascontiguousarray(image), offsets)
    assert np.array_equal(found[0], found[2])


def test_the_extent_is_the_farthest_look():
    assert extent(rotated(plane_map((11, 11)), math.pi / 4)) == (8, 8)


def test_flips_keep_image_and_labels_together():
    labels = np.arange(4 * 6 * 6, dtype=np.int32).reshape(4, 6, 6)
    seen = set()
    for seed in range(60):
        image, found = flipped(labels.astype(np.float32), labels, np.random.default_rng(seed))
        assert np.array_equal(image, found)
        seen.add(tuple(found[0, 0, :2]))
    assert len(seen) == 16  # every combination of three flips and the exchange of y and x
    oblong, _ = flipped(np.zeros((2, 4, 6), np.float32), np.zeros((2, 4, 6), np.int32), np.random.default_rng(0))
    assert oblong.shape == (2, 4, 6)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_far_beyond_the_border_the_mirror_goes_on(n: int):
    labels = np.arange(n, dtype=np.int32)[None, None, :]
    offsets = np.zeros((2, 1, 12), np.float32)
    offsets[1, 0] = np.arange(12) - (n - 1) / 2 - 6
    expected = np.pad(labels[0, 0], 20, mode="reflect" if n > 1 else "edge")[14:26]
    assert looked_up(labels, offsets)[0, 0].tolist() == expected.tolist()
