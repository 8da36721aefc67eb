import numpy as np
import pytest

from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.volume import Volume


@pytest.fixture
def volume(geometry):
    return Volume(np.arange(120, dtype=np.int16).reshape(4, 5, 6), geometry)


def test_refuses_voxels_of_another_shape():
    with pytest.raises(ValueError, match=r"\(2, 3, 4\).*\(4, 3, 2\)"):
        Volume(np.zeros((2, 3, 4)), Geometry((4, 3, 2)))


def test_says_what_it_is():
    volume = Volume(np.zeros((4, 5, 6), np.int16), Geometry((4, 5, 6), (1.25, 0.703125, 0.703125)), "label")
    assert repr(volume) == "Volume(label, 4 x 5 x 6, 1.25 x 0.703 x 0.703 mm, int16, 0.0 MiB)"


def test_with_voxels_keeps_kind_and_grid(volume):
    mask = volume.with_voxels(volume.voxels > 3, "label")
    assert (mask.kind, mask.geometry) == ("label", volume.geometry)
    assert mask.with_voxels(volume.voxels).kind == "label"


def test_crop_inside_is_a_copy(volume):
    cropped = volume.crop(Box((1, 1, 2), (3, 4, 6)))
    assert np.array_equal(cropped.voxels, volume.voxels[1:3, 1:4, 2:6])
    assert cropped.geometry == volume.geometry.cropped(Box((1, 1, 2), (3, 4, 6)))
    cropped.voxels[:] = -1
    assert volume.voxels.min() == 0


def test_crop_past_the_grid_fills(volume):
    cropped = volume.crop(Box((-1, 2, 4), (2, 7, 8)), fill=-7)
    plain = np.pad(volume.voxels, 4, constant_values=-7)[3:6, 6:11, 8:12]
    assert np.array_equal(cropped.voxels, plain)
    assert cropped.voxels.dtype == np.int16


def test_crop_beside_the_grid_is_all_fill(volume):
    assert (volume.crop(Box((10, 0, 0), (12, 3, 3)), fill=5).voxels == 5).all()
    assert (volume.crop(Box((-9, 0, 0), (-4, 3, 3)), fill=5).voxels == 5).all()


def test_pad_is_undone_by_crop(volume):
    padded = volume.pad((1, 2, 3), fill=-1)
    back = padded.crop(Box((1, 2, 3), (5, 7, 9)))
    assert padded.voxels.shape == (6, 9, 12)
    assert np.array_equal(back.voxels, volume.voxels)
    assert back.geometry.same_grid(volume.geometry, 1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flip_moves_no_voxel_in_the_world(volume, axis):
    flipped = volume.flip(axis)
    point = volume.geometry.affine @ [1, 2, 3, 1]
    z, y, x, _ = np.rint(flipped.geometry.inverse_affine @ point).astype(int)
    assert flipped.voxels[z, y, x] == volume.voxels[1, 2, 3]
    assert np.array_equal(flipped.flip(axis).voxels, volume.voxels)
