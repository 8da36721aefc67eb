"""A scan on the network's grid, whichever way its voxels run."""

import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.methods.lobes.config import FrameSettings
from weakmask.regions.lobe_frame import BLANK, frame_scan, network_input
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

SHAPE, EDGE = (20, 24, 28), (4.0, 4.0, 4.0)
LUNGS = FrameSettings(shape=(12, 12, 12), frame="lungs", outside="blank", margin_mm=8.0)


def scan() -> tuple[Volume, Volume]:
    geometry = Geometry(SHAPE, EDGE, (10.0, 20.0, 30.0))
    z, y, x = np.indices(SHAPE)
    image = Volume((40 * z - 1000 + 7 * y + x).astype(np.int16), geometry)
    field = np.zeros(SHAPE, np.uint8)
    field[4:16, 6:18, 4:12], field[4:16, 6:18, 16:24] = 2, 1
    return image, Volume(field, geometry, "label")


def test_the_grid_spans_the_lungs_and_a_margin() -> None:
    image, field = scan()
    framed = frame_scan(image, field, LUNGS)
    grid = framed.image.geometry
    assert grid.shape == (12, 12, 12)
    assert grid.extent_mm == pytest.approx((64.0, 64.0, 96.0))
    corner = grid.affine @ np.array([-0.5, -0.5, -0.5, 1.0])
    assert corner[:3] == pytest.approx((10 + 4 * 1.5, 20 + 4 * 3.5, 30 + 4 * 1.5))
    assert framed.image.voxels.dtype == np.int16
    assert set(np.unique(framed.field.voxels)) == {0, 1, 2}


def test_the_whole_scan_is_the_frame_of_the_paper() -> None:
    image, _ = scan()
    framed = frame_scan(image, None, FrameSettings(shape=SHAPE))
    assert framed.image.geometry.same_grid(image.geometry)
    assert np.array_equal(framed.image.voxels, np.clip(image.voxels, -1024, 1000))
    assert framed.field.voxels.all()


@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
def test_voxels_that_run_the_other_way_give_the_same_grid(axes: tuple[int, ...]) -> None:
    image, field = scan()
    settings = LUNGS.model_copy(update={"shape": (16, 16, 24)})  # the scan's voxels, so that nearest has no ties
    straight = frame_scan(image, field, settings)
    for axis in axes:
        image, field = image.flip(axis), field.flip(axis)
    flipped = frame_scan(image, field, settings)
    assert flipped.image.geometry.same_grid(straight.image.geometry)
    assert np.abs(flipped.image.voxels.astype(int) - straight.image.voxels).max() <= 1
    assert np.array_equal(flipped.field.voxels, straight.field.voxels)


def test_outside_the_lungs_is_blank_where_asked() -> None:
    image, field = np.full((2, 2, 2), -300.0), np.array([[[0, 1], [2, 0]], [[1, 1], [0, 0]]])
    found = network_input(image, field, LUNGS)
    assert (found[field == 0] == BLANK).all()
    assert found[field > 0] == pytest.approx(0.5)
    assert network_input(image, field, FrameSettings()) == pytest.approx(0.5)


def test_percentiles_bring_any_scale_to_the_same_values() -> None:
    image, _ = scan()
    settings = FrameSettings(shape=SHAPE, grey_values="percentiles")
    first = frame_scan(image, None, settings)
    other = frame_scan(image.with_voxels(image.voxels.astype(np.float32) * 0.01 + 5), None, settings)
    assert (first.image.voxels.min(), first.image.voxels.max()) == (0, 1000)
    assert np.abs(first.image.voxels.astype(int) - other.image.voxels).max() <= 1
    values = network_input(first.image.voxels, first.field.voxels, settings)
    assert (values.min(), values.max()) == (0.0, 1.0)


def test_no_lungs_and_no_contrast_are_told() -> None:
    image, field = scan()
    with pytest.raises(UserError, match="shows no lungs"):
        frame_scan(image, field.with_voxels(np.zeros_like(field.voxels)), LUNGS)
    with pytest.raises(UserError, match="all of one grey value"):
        frame_scan(image.with_voxels(np.ones(SHAPE, np.float32)), None, FrameSettings(grey_values="percentiles"))
    with pytest.raises(ValueError, match="need the lungs"):
        frame_scan(image, None, LUNGS)
