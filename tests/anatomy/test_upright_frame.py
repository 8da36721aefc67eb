"""The coarse upright copy of a scan, and the way back onto the scan's grid."""

import numpy as np
import pytest

from weakmask.anatomy.upright_frame import coarse_upright, graded, paint
from weakmask.volume.geometry import IDENTITY, Geometry
from weakmask.volume.volume import Volume

from ..volume.conftest import DIRECTIONS, direction  # noqa: TID252


def world(geometry: Geometry) -> np.ndarray:
    """World coordinates (3, z, y, x) of every voxel."""
    index = np.indices(geometry.shape).reshape(3, -1)
    return (geometry.affine[:3, :3] @ index + geometry.affine[:3, 3:]).reshape(3, *geometry.shape)


def test_blocks_hold_the_mean_of_their_voxels() -> None:
    voxels = np.random.default_rng(0).integers(-1000, 900, (5, 7, 9)).astype(np.int16)
    coarse = coarse_upright(Volume(voxels, Geometry((5, 7, 9), (1.0, 0.5, 2.0))), 2.0)
    assert coarse.geometry.spacing_mm == (2.0, 2.0, 2.0)
    assert coarse.voxels.shape == (3, 2, 9)
    for z, y, x in np.ndindex(3, 2, 9):
        block = voxels[2 * z : 2 * z + 2, 4 * y : 4 * y + 4, x]
        assert coarse.voxels[z, y, x] == pytest.approx(block.mean(), abs=1e-2)


def test_padding_metal_and_missing_values_are_tamed() -> None:
    voxels = np.array([[[-3024.0, np.nan, 3071.0]]])
    coarse = coarse_upright(Volume(voxels, Geometry((1, 1, 3), (3.0, 3.0, 3.0))), 2.0)
    assert coarse.voxels.ravel().tolist() == [-1024.0, -1024.0, 1000.0]


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_copy_stands_upright_where_the_scan_lies(name: str) -> None:
    geometry = Geometry((20, 24, 30), (3.0, 2.0, 2.5), (-20.0, 11.0, 30.0), direction(name))
    z, y, x = world(geometry)
    upright = coarse_upright(Volume(z + 2 * y - 3 * x, geometry), 2.0)
    assert upright.geometry.direction == IDENTITY
    at_z, at_y, at_x = world(upright.geometry)
    seen = upright.voxels > -1023
    assert seen.sum() > 0.9 * geometry.voxel_volume_mm3 * 14400 / upright.geometry.voxel_volume_mm3
    inner = seen & (np.abs(upright.voxels - (at_z + 2 * at_y - 3 * at_x)) < 1e-2)
    assert inner.sum() > 0.7 * seen.sum()  # the rest is extrapolated by half a voxel at the edge


def test_half_way_between_two_axes() -> None:
    c = float(np.sqrt(0.5))
    turned = Geometry((12, 12, 12), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), ((1.0, 0, 0), (0, c, -c), (0, c, c)))
    upright = coarse_upright(Volume(np.full((12, 12, 12), 7.0), turned), 2.0)
    assert upright.geometry.direction == IDENTITY
    assert (upright.voxels > 0).sum() * upright.geometry.voxel_volume_mm3 == pytest.approx(12**3 * 12, rel=0.2)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_ball_comes_back_within_a_part_of_a_coarse_voxel(name: str) -> None:
    fine = Geometry((60, 60, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction(name))
    centre = fine.affine @ np.array([29.3, 30.1, 28.7, 1.0])
    distance = np.sqrt(sum((w - c) ** 2 for w, c in zip(world(fine), centre[:3], strict=True)))
    air = np.where(distance < 20, -850.0, 50.0)
    coarse = coarse_upright(Volume(air, fine), 3.0)
    share = np.where(coarse.voxels > -1000, np.clip((50 - coarse.voxels) / 900, 0, 1), 0)  # beyond the scan is no ball
    labels = np.zeros(fine.shape, dtype=np.uint8)
    paint(labels, 4, coarse.with_voxels(graded(share > 0.5, share)), fine)
    assert set(np.unique(labels)) == {0, 4}
    wrong = (labels == 4) != (distance < 20)
    assert wrong.sum() < 0.035 * (distance < 20).sum()
    assert np.abs(distance[wrong] - 20).max() < 1.0


def test_what_was_taken_in_or_kept_out_counts_whole() -> None:
    mask = np.array([[[True, True, True, False, False]]])
    share = np.array([[[1.0, 0.1, 0.8, 0.4, 0.9]]])
    values = graded(mask, share)
    np.testing.assert_allclose(values, [[[1.0, 1.0, 0.8, 0.4, 0.0]]])


def test_nothing_is_painted_for_an_empty_mask_or_beyond_the_scan() -> None:
    labels = np.zeros((3, 3, 3), dtype=np.uint8)
    geometry = Geometry((3, 3, 3))
    paint(labels, 1, Volume(np.zeros((3, 3, 3), dtype=np.float32), geometry), geometry)
    far = Geometry((3, 3, 3), origin_mm=(50.0, 0.0, 0.0))
    paint(labels, 1, Volume(np.ones((3, 3, 3), dtype=np.float32), far), geometry)
    assert not labels.any()
