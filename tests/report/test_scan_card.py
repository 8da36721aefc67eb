"""A scan's card: the same picture however the scan is stored, true proportions, everything drawn that is there."""

import base64
import tracemalloc
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from weakmask.report.page import ScanView
from weakmask.report.scan_card import BAR_MM, LEVELS, draw_scan
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L")).astype(float)


def transposed(volume: Volume) -> Volume:
    """Stored sagittally: array axes (right-left, head-foot, front-back)."""
    order, g = (2, 0, 1), volume.geometry
    (z, y, x), (dz, dy, dx) = g.shape, g.spacing_mm
    one, two, three = ((c, a, b) for a, b, c in g.direction)
    geometry = Geometry((x, z, y), (dx, dz, dy), g.origin_mm, (one, two, three))
    return Volume(np.ascontiguousarray(volume.voxels.transpose(order)), geometry, volume.kind)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.flip(0),
        lambda v: v.flip(1),
        lambda v: v.flip(2),
        lambda v: v.flip(2).flip(0),
        transposed,
        lambda v: transposed(v).flip(0),
    ],
    ids=["upside-down", "face-down", "mirrored", "turned", "sagittal", "sagittal-mirrored"],
)
def test_the_same_card_however_the_scan_is_stored(chest, moved, change):
    here, there = draw_scan(chest), draw_scan(moved(change))
    assert there.panels == here.panels
    assert there.levels == here.levels
    assert there.reason == here.reason


def test_the_patients_right_is_on_the_left_and_the_head_is_up():
    geometry = Geometry((40, 40, 40), (2.0, 2.0, 2.0))
    voxels = np.zeros(geometry.shape, np.int16)
    voxels[30:, :10, :10] = 100  # head, front, right
    for volume in (Volume(voxels, geometry), Volume(voxels, geometry).flip(0).flip(2)):
        mask = volume.with_voxels((volume.voxels > 0).astype(np.uint8), "label")
        card = draw_scan(ScanView("corner", volume, (0, 100), mask))
        assert [panel.plane for panel in card.panels] == ["axial", "coronal", "sagittal"]
        for panel in card.panels:  # right and front, right and head, front and head: always the top left
            shown = pixels(panel.picture)
            height, width = shown.shape
            assert shown[: height // 5, : width // 5].mean() > 240
            assert shown[height // 2 :].mean() < 5
            assert shown[:, width // 2 :].mean() < 5
        assert [panel.marks for panel in card.panels] == [("R", "L"), ("R", "L"), ("A", "P")]


def test_proportions_are_the_patients(chest):
    card = draw_scan(replace(chest, regions=None))  # without regions nothing is cropped
    z, y, x = chest.image.geometry.extent_mm
    for panel, width, height in zip(card.panels, (x, x, y), (y, z, z), strict=True):
        assert panel.width_mm == pytest.approx(width)
        assert panel.size[0] / panel.size[1] == pytest.approx(width / height, rel=0.01)
    scale = {round(panel.size[0] / panel.width_mm, 1) for panel in card.panels}
    assert len(scale) == 1


def test_positions_and_ticks_say_where_the_slices_lie(chest):
    axial, coronal, sagittal = draw_scan(chest).panels
    # the lesion is largest at voxel (9, 20, 33): -60 + 9 * 4, -50 + 20 * 3 and -70 + 33 * 2.5 mm
    positions = ["z \N{MINUS SIGN}24 mm", "y 10 mm", "x 12 mm"]
    assert [panel.position for panel in (axial, coronal, sagittal)] == positions
    # one slice of each plane cuts the others: the same share of the same axis
    assert dict(coronal.ticks)["y"] == dict(sagittal.ticks)["y"]
    assert dict(axial.ticks)["x"] == dict(coronal.ticks)["x"]
    assert dict(axial.ticks)["y"] == pytest.approx(dict(sagittal.ticks)["x"])
    assert axial.bar_percent == pytest.approx(100 * BAR_MM / axial.width_mm)


def test_everything_is_drawn_that_is_there(chest):
    card = draw_scan(chest)
    assert card.drawn == ("mask", "truth", "activation", "regions")
    assert len(card.levels) == LEVELS
    for panel in card.panels:
        assert [name for name, _ in panel.outlines] == ["regions", "truth", "mask"]
        assert panel.heat
        assert panel.tint
        assert "the predicted mask and the true mask outlined" in panel.alt
    bare = draw_scan(replace(chest, mask=None, activation=None, truth=None, regions=None, scores=None))
    assert bare.drawn == ()
    assert bare.scores is None
    assert not bare.compared
    assert all(not panel.outlines and not panel.heat and not panel.tint for panel in bare.panels)


def test_a_single_picture_is_one_panel_as_it_is_stored(picture):
    card = draw_scan(picture)
    (panel,) = card.panels
    assert (panel.plane, panel.position, panel.marks, panel.ticks, panel.bar_percent) == ("", "", ("", ""), (), 0)
    assert card.levels == ()
    assert card.reason == ""
    shown = pixels(panel.picture)
    assert shown.shape[0] / shown.shape[1] == pytest.approx(40 / 30, rel=0.01)
    assert shown[:, 0].mean() < 10
    assert shown[:, -1].mean() == pytest.approx(29 * 8, abs=6)


def test_drawing_copies_no_volume():
    geometry = Geometry((96, 160, 160), (2.0, 1.5, 1.5))
    rng = np.random.default_rng(0)
    image = Volume(rng.integers(-1000, 200, geometry.shape, dtype=np.int16), geometry)
    mask = np.zeros(geometry.shape, np.uint8)
    mask[20:60, 40:90, 30:80] = 1
    label = Volume(mask, geometry, "label")
    activation = Volume(mask.astype(np.float32), geometry)
    view = ScanView("large", image, (-1200, 300), label, activation, label, label)
    draw_scan(view)  # imports and caches are not the scan's
    tracemalloc.start()
    try:
        draw_scan(view)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    pictures = 40 * 2**20  # of the page's size, whatever the size of the scan
    assert peak < pictures


@pytest.mark.parametrize(
    ("names", "marks"),
    [
        ({1: "left", 2: "right"}, ("L", "R")),  # exchanged: radiologists expect R on the left
        ({1: "right lung", 2: "Left lung"}, ("R", "L")),
        ({1: "RUL", 2: "LUL"}, ("R", "L")),
        ({1: "lung_upper_lobe_right", 2: "lung_upper_lobe_left"}, ("R", "L")),
        ({1: "image"}, ("", "")),
        ({1: "right"}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_the_letters_of_a_picture_say_where_its_regions_are(picture, names, marks):
    regions = np.zeros(picture.image.voxels.shape, np.uint8)
    regions[:, :, 2:12], regions[:, :, 18:28] = 1, 2
    view = replace(picture, regions=picture.image.with_voxels(regions, "label"), region_names=names)
    assert draw_scan(view).panels[0].marks == marks
