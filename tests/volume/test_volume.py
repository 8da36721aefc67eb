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


def test_an_array_becomes_a_volume():
    volume = Volume.from_array(np.ones((4, 5, 6)), (1.25, 0.7, 0.7))
    assert (volume.geometry, volume.kind, volume.voxels.dtype) == (Geometry((4, 5, 6), (1.25, 0.7, 0.7)), "image", "f4")
    assert Volume.from_array(np.ones((4, 5, 6), np.int16), [1, 1, 1]).voxels.dtype == np.int16
    assert Volume.from_array([[[0, 1], [2, 3]]], (1, 1, 1)).geometry.shape == (1, 2, 2)


def test_a_slice_becomes_a_volume_of_one_slice():
    assert Volume.from_array(np.zeros((5, 6)), (0.7, 0.8)).geometry == Geometry((1, 5, 6), (1.0, 0.7, 0.8))


def test_labels_of_an_array_become_integers():
    mask = Volume.from_array(np.ones((4, 5, 6), bool), (1, 1, 1), "label")
    assert (mask.kind, mask.voxels.dtype, int(mask.voxels.max())) == ("label", np.uint8, 1)
    assert Volume.from_array(np.full((4, 5, 6), 300.0), (1, 1, 1), "label").voxels.dtype == np.int32
    for fraction in (0.5, np.nan, np.inf):
        with pytest.raises(ValueError, match="label map with fractions"):
            Volume.from_array(np.full((4, 5, 6), fraction), (1, 1, 1), "label")


@pytest.mark.parametrize(
    ("array", "spacing", "words"),
    [
        (np.zeros((2, 4, 5, 6)), (1, 1, 1), r"shape \(2, 4, 5, 6\)"),
        (np.zeros((4, 5, 6)), (1, 1), r"spacing_mm is \(1.0, 1.0\)"),
        (np.zeros((4, 5, 6)), (1, 0, 1), "three positive numbers"),
        (np.zeros((4, 0, 6)), (1, 1, 1), "three positive numbers"),
        (np.zeros((4, 5, 6), complex), (1, 1, 1), "complex128; expected real numbers"),
        (np.full((4, 5, 6), "a"), (1, 1, 1), "expected real numbers"),
    ],
)
def test_an_array_that_is_no_volume_is_refused(array, spacing, words):
    with pytest.raises(ValueError, match=words):
        Volume.from_array(array, spacing)


@pytest.mark.parametrize("arguments", [(np.zeros((4, 5, 6)), (1, 1, 1)), ([[[0]]], Geometry((1, 1, 1)))])
def test_other_types_are_refused_in_one_line(arguments):
    with pytest.raises(TypeError, match=r"expected a NumPy array and a Geometry; Volume\.from_array"):
        Volume(*arguments)
