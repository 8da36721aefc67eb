import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from weakmask.volume import resample
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.resample import resample_onto, resample_to_shape, resample_to_spacing
from weakmask.volume.volume import Volume

SPACING = st.tuples(*[st.floats(0.4, 3)] * 3)


def old_positions(volume, geometry):
    """Where each new voxel lies in the old grid, in old indices, by way of the world."""
    index = np.indices(geometry.shape).reshape(3, -1)
    world = geometry.affine[:3, :3] @ index + geometry.affine[:3, 3:]
    inverse = volume.geometry.inverse_affine
    return (inverse[:3, :3] @ world + inverse[:3, 3:]).reshape(3, *geometry.shape)


def plain(volume, geometry, fill):
    """The rule of the module's first lines, voxel by voxel, and where rounding decides it (no test can hold there)."""
    at = old_positions(volume, geometry)
    shape = np.asarray(volume.geometry.shape).reshape(3, 1, 1, 1)
    inside = ((at >= -0.5) & (at <= shape - 0.5)).all(axis=0)
    unsure = (np.minimum(np.abs(at + 0.5), np.abs(at - shape + 0.5)) < 5e-4).any(axis=0)
    if volume.kind == "label":
        nearest = np.clip(np.floor(at + 0.5), 0, shape - 1).astype(int)
        values = volume.voxels[tuple(nearest)]
        unsure |= (np.abs(at - np.floor(at) - 0.5) < 5e-4).any(axis=0)
    else:
        values = ndimage.map_coordinates(volume.voxels.astype(float), at, order=1, mode="nearest")
    return np.where(inside, values, fill), unsure


def assert_follows_the_rule(volume, geometry, fill):
    moved = resample_onto(volume, geometry, fill)
    expected, unsure = plain(volume, geometry, fill)
    assert moved.geometry is geometry
    assert moved.kind == volume.kind
    assert np.abs(moved.voxels.astype(float) - expected)[~unsure].max(initial=0) < 0.25  # of 2000


def noise(geometry, kind="image", seed=0):
    rng = np.random.default_rng(seed)
    if kind == "label":
        return Volume(rng.integers(0, 6, geometry.shape).astype(np.uint8), geometry, "label")
    return Volume(rng.integers(-1000, 1000, geometry.shape).astype(np.int16), geometry)


@pytest.mark.parametrize("kind", ["image", "label"])
@settings(max_examples=60)
@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    SPACING,
    st.tuples(*[st.floats(-4, 4)] * 3),
    st.sets(st.integers(0, 2)),
    st.tuples(*[st.integers(1, 9)] * 3),
    SPACING,
)
def test_shared_axes_follow_the_rule(kind, shape, spacing, origin, flips, new_shape, new_spacing):
    new = Geometry(new_shape, new_spacing, origin)
    for axis in flips:
        new = new.flipped(axis)
    assert_follows_the_rule(noise(Geometry(shape, spacing), kind), new, fill=7)


@pytest.mark.parametrize("kind", ["image", "label"])
@settings(max_examples=60)
@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    SPACING,
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    st.tuples(*[st.integers(1, 9)] * 3),
    SPACING,
)
def test_turned_grids_follow_the_rule(kind, shape, spacing, angles, signs, new_shape, new_spacing):
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix() * signs
    new = Geometry(new_shape, new_spacing, (1.0, -2.0, 0.5), turn.tolist())
    assert_follows_the_rule(noise(Geometry(shape, spacing), kind), new, fill=7)


@pytest.mark.parametrize("kind", ["image", "label"])
def test_the_own_grid_gives_the_own_values(geometry, kind):
    volume = noise(geometry, kind)
    same = resample_onto(volume, geometry)
    assert np.array_equal(same.voxels, volume.voxels)
    assert same.voxels is not volume.voxels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipping_by_resampling_is_flipping(geometry, axis):
    volume = noise(geometry)
    flipped = volume.flip(axis)
    assert np.array_equal(resample_onto(volume, flipped.geometry).voxels, flipped.voxels)


def test_a_grid_rounded_by_a_file_format_is_the_same_grid():
    geometry = Geometry((3, 4, 512), (0.7, 0.7, 0.7), (-101.3, 5.1, 33.3))
    rounded = Geometry((3, 4, 512), np.float32(geometry.spacing_mm), np.float32(geometry.origin_mm))
    assert np.array_equal(resample_onto(noise(geometry, "label"), rounded).voxels, noise(geometry, "label").voxels)


def test_quarter_turn_is_exact():
    volume = noise(Geometry((3, 4, 5)))
    turned = Geometry((5, 4, 3), direction=((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    assert np.array_equal(resample_onto(volume, turned).voxels, volume.voxels.transpose(2, 1, 0))


@pytest.mark.parametrize("angle", [0, 30])
def test_beyond_the_outermost_centres_the_edge_then_the_fill(angle):
    turn = Rotation.from_euler("z", angle, degrees=True).as_matrix().tolist()
    volume = Volume(np.full((4, 4, 4), 100, np.int16), Geometry((4, 4, 4), (2, 2, 2), direction=turn))
    line = Geometry((1, 1, 12), (0.45, 0.45, 0.45), volume.geometry.origin_mm, turn)
    line = Geometry((1, 1, 12), line.spacing_mm, (line.affine @ [0, 0, -4, 1])[:3], turn)
    moved = resample_onto(volume, line, fill=-5).voxels.ravel()
    # centres 1.8, 1.35 mm before the first old centre are outside half a voxel (1 mm), 0.9 and 0.45 mm are inside
    assert moved.tolist() == [-5, -5, *[100] * 10]


def test_types():
    geometry = Geometry((4, 4, 4))
    finer = geometry.with_shape((8, 8, 8))
    for dtype in (np.int16, np.uint8, np.float32, np.float64, bool):
        assert resample_onto(Volume(np.ones((4, 4, 4), dtype), geometry), finer).voxels.dtype == np.float32
        assert resample_onto(Volume(np.ones((4, 4, 4), dtype), geometry, "label"), finer).voxels.dtype == dtype


@pytest.mark.parametrize("angle", [0, 20])
def test_bool_labels_go_both_ways(angle):
    turn = Rotation.from_euler("z", angle, degrees=True).as_matrix().tolist()
    mask = Volume(np.ones((4, 4, 4), bool), Geometry((4, 4, 4)), "label")
    moved = resample_onto(mask, Geometry((4, 4, 4), direction=turn))
    assert moved.voxels.dtype == bool
    assert moved.voxels[0, 0, 0]


def test_refuses_a_fill_that_is_no_label():
    labels = noise(Geometry((4, 4, 4)), "label")
    for fill in (-1, 0.5, np.nan):
        with pytest.raises(ValueError, match="expected a value of uint8"):
            resample_onto(labels, labels.geometry, fill)


def test_a_grid_far_away_is_all_fill():
    volume = noise(Geometry((4, 4, 4)))
    assert (resample_onto(volume, Geometry((3, 3, 3), origin_mm=(99, 0, 0)), -9).voxels == -9).all()


@given(st.tuples(*[st.integers(1, 6)] * 3), SPACING, st.tuples(*[st.integers(1, 9)] * 3))
def test_to_shape_never_fills(shape, spacing, new_shape):
    volume = Volume(np.full(shape, 50, np.int16), Geometry(shape, spacing))
    moved = resample_to_shape(volume, new_shape)
    assert moved.voxels.shape == new_shape
    assert (moved.voxels == 50).all()
    assert np.allclose(moved.geometry.extent_mm, volume.geometry.extent_mm)


def test_to_shape_is_what_scipy_calls_grid_mode():
    volume = noise(Geometry((6, 9, 10)))
    zoomed = ndimage.zoom(volume.voxels.astype(float), (2, 1 / 3, 1.5), order=1, mode="nearest", grid_mode=True)
    assert np.abs(resample_to_shape(volume, (12, 3, 15)).voxels - zoomed).max() < 1e-3


def test_to_spacing():
    volume = noise(Geometry((10, 20, 30), (2.5, 0.7, 0.7)))
    moved = resample_to_spacing(volume, (1.2, 1.2, 1.2))
    assert moved.geometry == volume.geometry.with_spacing((1.2, 1.2, 1.2))
    assert moved.voxels.shape == (21, 12, 18)
    expected, unsure = plain(volume, moved.geometry, np.nan)
    assert np.abs(moved.voxels - expected)[~unsure & ~np.isnan(expected)].max() < 0.25


def test_to_spacing_repeats_the_edge_of_an_image_and_grows_no_label():
    """20 x 2 mm end before the centre of the 34th voxel of 1.2 mm; 0 HU there would be tissue beside a lung."""
    geometry = Geometry((20, 20, 20), (2, 2, 2))
    lung = Volume(np.full(geometry.shape, -850, np.int16), geometry)
    assert (resample_to_spacing(lung, (1.2, 1.2, 1.2)).voxels == -850).all()
    label = resample_to_spacing(lung.with_voxels(np.ones(geometry.shape, np.uint8), "label"), (1.2, 1.2, 1.2)).voxels
    assert label.shape == (34, 34, 34)
    assert label[:33, :33, :33].all()
    assert not label[33:].any()


def test_a_picture_stays_one_slice():
    picture = noise(Geometry((1, 20, 30)))
    assert resample_to_shape(picture, (1, 10, 15)).voxels.shape == (1, 10, 15)


def test_slabs_join_without_a_seam(monkeypatch):
    volume = noise(Geometry((8, 9, 10), (3, 1, 1)))
    turn = Rotation.from_euler("z", 5, degrees=True).as_matrix().tolist()
    target = Geometry((23, 7, 8), (1, 1.2, 1.2), (0.5, 0, 0), turn)
    whole = resample_onto(volume, target).voxels
    monkeypatch.setattr(resample, "_SLAB_VOXELS", 5 * 7 * 8)
    assert np.abs(resample_onto(volume, target).voxels - whole).max() < 1e-3


def blob(geometry, centre, radii):
    """A smooth ellipsoid in the grid's own axes: 1 at the centre, 0.5 on its surface."""
    index = np.indices(geometry.shape).astype(float)
    distance = sum(((index[a] - centre[a]) * geometry.spacing_mm[a] / radii[a]) ** 2 for a in range(3))
    return (0.5**distance).astype(np.float32)


def dice(mask, truth):
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(*[st.floats(-60, 60)] * 3),
    st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    st.floats(0.6, 1.0),
    st.tuples(*[st.floats(-50, 50)] * 3),
)
def test_a_mask_comes_back_onto_the_scan(angles, signs, new_mm, origin):
    """Crop, resample, find the mask there, put it back: the scan's very grid, and the same blob."""
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix() * signs
    scan_grid = Geometry((36, 60, 56), (1.25, 0.7, 0.75), origin, turn.tolist())
    scan = Volume(blob(scan_grid, (17, 31, 26), (15, 14, 13)), scan_grid)
    seen = resample_to_spacing(scan.crop(Box((2, 5, 3), (33, 57, 50))), (new_mm, new_mm, new_mm))
    mask = resample_onto(seen.with_voxels(seen.voxels >= 0.5, "label"), scan.geometry)
    assert mask.geometry is scan.geometry
    assert (mask.voxels.dtype, mask.kind) == (bool, "label")
    assert dice(mask.voxels, scan.voxels >= 0.5) > 0.97
    # a map that is put back before it is cut loses less than its mask
    assert dice(resample_onto(seen, scan.geometry).voxels >= 0.5, scan.voxels >= 0.5) > 0.985


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.floats(-30, 30)] * 3))
@example((0.0, 2.0, 7.6e-296))
def test_a_mask_comes_back_from_a_turned_grid(angles):
    """As above, where the network saw the scan turned upright."""
    scan_grid = Geometry((36, 60, 56), (1.25, 0.7, 0.75), (5, 6, 7))
    scan = Volume(blob(scan_grid, (17, 30, 27), (15, 14, 13)), scan_grid)
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    centre = scan_grid.affine[:3] @ [17, 30, 27, 1]
    upright = Geometry((64, 64, 64), (0.8, 0.8, 0.8), centre - turn @ np.full(3, 31.5 * 0.8), turn.tolist())
    seen = resample_onto(scan, upright)
    back = resample_onto(seen.with_voxels(seen.voxels >= 0.5, "label"), scan.geometry)
    truth = scan.voxels >= 0.5
    assert back.geometry is scan.geometry
    assert dice(back.voxels, truth) > 0.97
