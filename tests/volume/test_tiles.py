"""Tiles and one pass are the same, for networks that are made of numpy here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from weakmask.volume.geometry import Box
from weakmask.volume.tiles import cut, even_side, put_back, same_tiles, valid_tiles

MARGIN, GRID, LEAST = 3, 4, 2  # a small cousin of the U-Net's 44, 8, 4: 8 + 4k -> 2 + 4k
sizes = st.tuples(*[st.integers(1, 23)] * 3)
counts = st.tuples(*[st.integers(1, 4)] * 3)


def three(value: int) -> tuple[int, int, int]:
    return (value, value, value)


def pooled(voxels: np.ndarray) -> np.ndarray:
    """The largest voxel of each block of 4^3, at its blocks' places; blocks begin where the array begins."""
    z, y, x = (n // GRID for n in voxels.shape)
    largest = voxels.reshape(z, GRID, y, GRID, x, GRID).max(axis=(1, 3, 5))
    return largest.repeat(GRID, 0).repeat(GRID, 1).repeat(GRID, 2)


def valid_network(voxels: np.ndarray) -> np.ndarray:
    """Means over 7^3 of the pooled scan and of the scan, without what would look outside."""
    inner = (slice(MARGIN, -MARGIN),) * 3
    return np.stack([uniform_filter(pooled(voxels), 7)[inner], uniform_filter(voxels, 7)[inner]])


def same_network(voxels: np.ndarray) -> np.ndarray:
    """The same with zeros around; fills up to blocks at the far end."""
    filled = np.pad(voxels, [(0, -n % GRID) for n in voxels.shape])
    whole = uniform_filter(pooled(filled), 7, mode="constant")
    z, y, x = voxels.shape
    return whole[:z, :y, :x]


def scan(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


@settings(deadline=None, max_examples=60)
@given(sizes, counts, st.sampled_from(["constant", "reflect"]))
def test_valid_tiles_are_one_pass(shape, count, border):
    voxels = scan(shape)
    answers = []
    for number in ((1, 1, 1), count):
        side = even_side(shape, number, three(GRID), three(LEAST))
        whole = np.full((2, *shape), np.nan)
        for tile in valid_tiles(shape, side, three(MARGIN), three(GRID), three(LEAST)):
            assert tile.answer.grown(three(MARGIN)) == tile.read
            put_back(whole, tile, valid_network(cut(voxels, tile.read, border)))
        answers.append(whole)
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(sizes, st.tuples(*[st.sampled_from([4, 8, 12])] * 3))
def test_same_tiles_are_one_pass(shape, side):
    voxels = scan(shape)
    whole = np.full(shape, np.nan)
    for tile in same_tiles(shape, side, three(8), three(GRID)):
        put_back(whole, tile, same_network(cut(voxels, tile.read)))
    np.testing.assert_allclose(whole, same_network(voxels), atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(sizes, counts)
def test_every_voxel_is_written_once_and_answered(shape, count):
    side = even_side(shape, count, three(GRID), three(LEAST))
    written = np.zeros(shape, int)
    tiles = valid_tiles(shape, side, three(MARGIN), three(GRID), three(LEAST))
    for tile in tiles:
        written[tile.write.slices] += 1
        assert tile.write.clipped(shape) == tile.write
        assert all(a % GRID == 0 for a in tile.answer.start)
        assert all((n - LEAST) % GRID == 0 for n in tile.answer.shape)
        assert all(a <= b for a, b in zip(tile.answer.start, tile.write.start, strict=True))
        assert all(a >= b for a, b in zip(tile.answer.stop, tile.write.stop, strict=True))
    assert (written == 1).all()
    assert len(tiles) <= np.prod(count)


def test_the_papers_tiles():
    tiles = valid_tiles((240, 240, 200), three(44), three(44), three(8), three(4))
    assert len(tiles) == 6 * 6 * 5
    assert {tile.read.shape for tile in tiles if tile.answer.stop[0] < 240} >= {(132, 132, 132)}
    assert tiles[0].read == Box(three(-44), three(88))
    assert tiles[1].answer == Box((0, 0, 40), (44, 44, 84))
    assert tiles[-1].answer == Box((200, 200, 160), (244, 244, 204))


def test_the_last_tile_is_as_small_as_the_rest_allows():
    tiles = valid_tiles((4, 4, 50), (4, 4, 44), three(44), three(8), three(4))
    assert [tile.answer.shape[2] for tile in tiles] == [44, 12]
    assert [tile.write.shape[2] for tile in tiles] == [40, 10]


def test_slices_are_tiles_too():
    """A 2-D network takes slices as a batch: along z nothing is lost, shared or aligned."""
    tiles = valid_tiles((5, 10, 4), (2, 12, 4), (0, 44, 44), (1, 8, 8), (0, 4, 4))
    assert [tile.read for tile in tiles][2] == Box((4, -44, -44), (5, 56, 48))


@pytest.mark.parametrize("side", [(43, 44, 44), (4, 44, 44), (-4, 44, 44)])
def test_impossible_valid_sides_are_refused(side):
    with pytest.raises(ValueError, match="expected"):
        valid_tiles((100, 100, 100), side, three(44), three(8), three(4))


@pytest.mark.parametrize(("side", "margin"), [(three(12), three(8)), (three(8), three(4)), (three(0), three(8))])
def test_impossible_same_sides_are_refused(side, margin):
    with pytest.raises(ValueError, match="multiples"):
        same_tiles((100, 100, 100), side, margin, three(8))


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(2, 6)] * 3), st.tuples(*[st.integers(0, 9)] * 6))
def test_cut_is_numpys_padding(shape, around):
    voxels = scan(shape)
    widths = list(zip(around[:3], around[3:], strict=True))
    box = Box(tuple(-a for a, _ in widths), tuple(n + b for n, (_, b) in zip(shape, widths, strict=True)))
    np.testing.assert_array_equal(cut(voxels, box, "reflect"), np.pad(voxels, widths, mode="reflect"))
    np.testing.assert_array_equal(cut(voxels, box, fill=7.0), np.pad(voxels, widths, constant_values=7.0))


def test_cut_far_outside_and_inside():
    voxels = scan((3, 4, 1))
    assert (cut(voxels, Box((50, 0, 0), (52, 4, 1)), fill=2.0) == 2).all()
    inner = cut(voxels, Box((1, 1, 0), (3, 3, 1)))
    np.testing.assert_array_equal(inner, voxels[1:3, 1:3])
    inner[:] = 0
    assert voxels.any()
    assert (cut(voxels, Box((0, 0, -3), (3, 4, 3)), "reflect") == voxels).all()
