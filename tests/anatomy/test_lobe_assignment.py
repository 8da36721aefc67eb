"""Shares of classes become one piece per lobe, on the scan's own grid, inside the lungs and on their side."""

import numpy as np
import pytest
from scipy import ndimage

from weakmask.anatomy.lobe_assignment import LOBES, assign_freely, assign_lobes, one_piece_each
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

LEFT, RIGHT = 1, 2


def grid(shape: tuple[int, int, int] = (8, 6, 12), edge: float = 4.0) -> Volume:
    return Volume(np.zeros(shape, np.float32), Geometry(shape, (edge,) * 3))


def shares_of(labels: np.ndarray, sure: float = 0.9) -> np.ndarray:
    shares = np.full((6, *labels.shape), (1 - sure) / 5, np.float32)
    for label in range(6):
        shares[label][labels == label] = sure
    return shares


def two_lungs() -> tuple[np.ndarray, Volume]:
    """Lobes on the coarse grid and the lungs on one twice as fine; axes toward head, back and left."""
    coarse = np.zeros((8, 6, 12), np.uint8)
    coarse[1:7, 1:5, 1:5] = LOBES["RUL"]
    coarse[1:4, 1:5, 1:5] = LOBES["RLL"]
    coarse[1:5, 1:3, 1:5] = LOBES["RML"]
    coarse[4:7, 1:5, 7:11] = LOBES["LUL"]
    coarse[1:4, 1:5, 7:11] = LOBES["LLL"]
    fine = np.kron(coarse, np.ones((2, 2, 2), np.uint8))
    sides = np.where(np.isin(fine, [LOBES["LUL"], LOBES["LLL"]]), LEFT, RIGHT) * (fine > 0)
    return coarse, Volume(sides.astype(np.uint8), grid().geometry.with_shape((16, 12, 24)), "label")


def test_clear_shares_come_back_on_the_finer_grid() -> None:
    coarse, field = two_lungs()
    found = assign_lobes(shares_of(coarse), grid(), field)
    assert found.geometry is field.geometry
    assert np.array_equal(found.voxels > 0, field.voxels > 0)
    assert (found.voxels == np.kron(coarse, np.ones((2, 2, 2), np.uint8)))[field.voxels > 0].mean() > 0.97


def test_a_flipped_scan_gets_the_same_lobes() -> None:
    coarse, field = two_lungs()
    found = assign_lobes(shares_of(coarse), grid(), field)
    flipped = assign_lobes(shares_of(coarse), grid(), field.flip(0).flip(2))
    assert np.array_equal(flipped.flip(0).flip(2).voxels, found.voxels)


def test_a_stray_piece_goes_to_the_lobe_around_it() -> None:
    coarse, field = two_lungs()
    strayed = coarse.copy()
    strayed[5, 3, 9] = LOBES["LLL"]
    assert np.array_equal(
        assign_lobes(shares_of(strayed, 0.99), grid(), field).voxels[10:12, 6:8, 18:20],
        np.full((2, 2, 2), LOBES["LUL"]),
    )


def test_a_voxel_never_gets_a_lobe_of_the_other_side() -> None:
    coarse, field = two_lungs()
    confused = coarse.copy()
    confused[2:6, 2:4, 2:4] = LOBES["LUL"]
    found = assign_lobes(shares_of(confused), grid(), field)
    assert set(np.unique(found.voxels[field.voxels == RIGHT])) == {LOBES["RUL"], LOBES["RML"], LOBES["RLL"]}
    assert set(np.unique(found.voxels[field.voxels == LEFT])) == {LOBES["LUL"], LOBES["LLL"]}


def test_lung_that_the_network_calls_background_gets_the_nearest_lobe() -> None:
    coarse, field = two_lungs()
    blind = coarse.copy()
    blind[:, :, 9:] = 0
    found = assign_lobes(shares_of(blind), grid(), field)
    assert np.array_equal(found.voxels > 0, field.voxels > 0)
    assert (found.voxels[8:14, 2:10, 18:22] == LOBES["LUL"]).all()
    assert (found.voxels[2:8, 2:10, 18:22] == LOBES["LLL"]).all()


def test_a_lung_without_any_lobe_stays_without() -> None:
    coarse, field = two_lungs()
    coarse[np.isin(coarse, [LOBES["LUL"], LOBES["LLL"]])] = 0
    found = assign_lobes(shares_of(coarse, 1.0), grid(), field)
    assert not found.voxels[field.voxels == LEFT].any()
    assert found.voxels[field.voxels == RIGHT].all()


def test_without_lungs_the_largest_pieces_stay_and_holes_are_filled() -> None:
    coarse, field = two_lungs()
    holed = coarse.copy()
    holed[5, 3, 3] = 0  # a hole in the right upper lobe
    holed[0, 0, 11] = LOBES["RUL"]  # a stray voxel
    image = Volume(np.zeros(field.geometry.shape, np.float32), field.geometry)
    found = assign_freely(shares_of(holed, 0.99), grid(), image)
    assert (found.voxels[10:12, 6:8, 6:8] == LOBES["RUL"]).all()
    assert not found.voxels[:2, :2, 22:].any()
    same = found.voxels == np.kron(coarse, np.ones((2, 2, 2), np.uint8))
    assert same.mean() > 0.95


def test_distances_are_in_millimetres() -> None:
    labels = np.zeros((5, 1, 5), np.int64)
    labels[0, 0, 0], labels[4, 0, 4] = 1, 2
    thick = one_piece_each(labels, 2, (10.0, 1.0, 1.0))
    assert thick[0, 0, 4] == 1
    assert thick[4, 0, 0] == 2
    wide = one_piece_each(labels, 2, (1.0, 1.0, 10.0))
    assert wide[0, 0, 4] == 2
    assert wide[4, 0, 0] == 1


@pytest.mark.parametrize("label", [1, 2])
def test_one_piece_each_against_the_plain_formula(label: int) -> None:
    rng = np.random.default_rng(label)
    labels = rng.integers(0, 3, (6, 5, 4))
    found = one_piece_each(labels, 2, (2.0, 1.0, 1.5))
    assert set(np.unique(found)) <= {1, 2}
    largest = np.zeros(labels.shape, bool)
    for lobe in (1, 2):
        pieces, _ = ndimage.label(labels == lobe)
        largest |= pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    kept, places = np.argwhere(largest), np.argwhere(labels >= 0)
    for place in places[::17]:
        distance = np.sqrt((((kept - place) * (2.0, 1.0, 1.5)) ** 2).sum(axis=1))
        nearest = {int(found[tuple(kept[i])]) for i in np.flatnonzero(distance <= distance.min() + 1e-9)}
        assert found[tuple(place)] in nearest
