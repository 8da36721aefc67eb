"""The slices shown are those that show most."""

from dataclasses import replace

import numpy as np
import pytest

from weakmask.report.scan_view import ScanView, set_scene
from weakmask.report.slices import areas, axial_levels, choose_slices, marked_box, with_margin
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.volume import Volume

SHAPE = (10, 12, 14)
GEOMETRY = Geometry(SHAPE, (2.0, 2.0, 2.0))


def block(z: int, y: int, x: int, size: int) -> np.ndarray:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[z : z + size, y : y + size, x : x + size] = 1
    return voxels


def view(**layers: np.ndarray) -> ScanView:
    volumes = {name: Volume(voxels, GEOMETRY, "label") for name, voxels in layers.items()}
    return ScanView("scan", Volume(np.zeros(SHAPE, np.int16), GEOMETRY), (-1200, 300), **volumes)


def test_areas_are_plain_sums():
    values = np.random.default_rng(0).random(SHAPE)
    scene = set_scene(view(activation=values))
    for axis, found in enumerate(areas(scene, lambda z: values[z])):
        others = tuple(a for a in range(3) if a != axis)
        np.testing.assert_allclose(found, values.sum(axis=others), rtol=1e-6)


def test_the_largest_lesion_where_the_method_does_well():
    truth = block(6, 7, 8, 3)
    truth[1, 1, 1] = 1
    choice = choose_slices(set_scene(view(mask=block(6, 7, 8, 3), truth=truth)))
    assert choice.index == (6, 7, 8)
    assert "largest lesion" in choice.reason


def test_the_largest_error_where_it_does_badly():
    false_alarm = block(1, 2, 3, 4)
    choice = choose_slices(set_scene(view(mask=false_alarm, truth=block(7, 8, 9, 2))))
    assert choice.index == (1, 2, 3)
    assert "error" in choice.reason


@pytest.mark.parametrize("layer", ["mask", "truth", "regions"])
def test_the_largest_area_of_what_there_is(layer):
    voxels = np.maximum(block(2, 3, 4, 2), block(6, 7, 8, 3))
    assert choose_slices(set_scene(view(**{layer: voxels}))).index == (6, 7, 8)


def test_the_strongest_activation_where_there_is_no_mask():
    activation = np.zeros(SHAPE, np.float32)
    activation[3, 4, 5] = 0.9
    activation[0, 0, 0] = np.nan
    assert choose_slices(set_scene(view(activation=activation))).index == (3, 4, 5)


def test_empty_masks_are_told_and_the_regions_shown():
    empty = np.zeros(SHAPE, np.uint8)
    choice = choose_slices(set_scene(view(mask=empty, truth=empty, regions=block(4, 5, 6, 2))))
    assert choice.index == (4, 5, 6)
    assert choice.reason.startswith("No lesion is marked.")


def test_the_middle_where_there_is_nothing():
    assert choose_slices(set_scene(view())).index == (5, 6, 7)


def test_the_box_holds_regions_and_every_mark():
    scene = set_scene(view(regions=block(2, 3, 4, 3), mask=block(8, 8, 8, 1)))
    box = marked_box(scene)
    assert box == Box((2, 3, 4), (9, 9, 9))
    assert with_margin(Box((8, 9, 10), (9, 10, 11)), scene) == Box((2, 3, 4), SHAPE)
    assert marked_box(set_scene(view(mask=block(8, 8, 8, 1)))) is None
    assert marked_box(set_scene(view(regions=np.zeros(SHAPE, np.uint8)))) is None


def test_levels_go_down_from_the_head_each_once():
    assert list(axial_levels(Box((10, 0, 0), (70, 1, 1)), 6)) == [65, 55, 45, 35, 25, 15]
    assert list(axial_levels(Box((3, 0, 0), (5, 1, 1)), 6)) == [4, 3]


def test_layers_on_another_grid_are_refused():
    other = Volume(np.zeros(SHAPE, np.uint8), Geometry(SHAPE, (2.0, 2.0, 2.5)), "label")
    with pytest.raises(ValueError, match="scan: the truth lies on"):
        replace(view(), truth=other)
