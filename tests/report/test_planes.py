"""Which way up: the patient's right on the reader's left, the head up, whatever the order of storage."""

import numpy as np
import pytest
from storage_orders import ORDERS

from weakmask.anatomy.lung_field import lung_field
from weakmask.report.planes import AXIAL, CORONAL, PLANES, SAGITTAL, cut, facing
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.storage_order import Order
from weakmask.volume.volume import Volume

SHAPE = (5, 6, 7)


@pytest.mark.parametrize("order", [ORDERS["LAS"], ORDERS["coronal"], ORDERS["sagittal"]])
def test_every_order_of_storage_is_turned_to_the_same_array(order: Order) -> None:
    plain = Volume(np.arange(np.prod(SHAPE)).reshape(SHAPE), Geometry(SHAPE, (3.0, 2.0, 1.0), (10.0, -20.0, 30.0)))
    frame = facing(order.grid(plain.geometry))
    np.testing.assert_array_equal(frame.turn(order.turn(plain.voxels)), plain.voxels)
    assert frame.shape == SHAPE
    assert frame.spacing_mm == (3.0, 2.0, 1.0)
    for axis in range(3):
        expected = plain.geometry.origin_mm[axis] + 2 * plain.geometry.spacing_mm[axis]
        assert frame.position_mm(axis, 2) == pytest.approx(expected)


@pytest.mark.parametrize("degrees", [-40, -10, 10, 40])
def test_an_oblique_grid_takes_the_nearest_axes(degrees):
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    oblique = Geometry(SHAPE, direction=((cosine, sine, 0.0), (-sine, cosine, 0.0), (0.0, 0.0, 1.0)))
    assert facing(oblique).order == Order((0, 1, 2), (False, False, False))
    assert facing(oblique.flipped(1)).order == Order((0, 1, 2), (False, True, False))


@pytest.mark.parametrize(
    ("plane", "corner"),
    [
        (AXIAL, "front and right"),
        (CORONAL, "head and right"),
        (SAGITTAL, "head and front"),
    ],
)
def test_which_corner_is_the_top_left(plane, corner):
    ends = {"head": (0, -1), "front": (1, 0), "right": (2, 0)}  # world axes grow to the head, the back and the left
    body = np.zeros(SHAPE)
    for side in corner.split(" and "):
        axis, end = ends[side]
        index: list[int | slice] = [slice(None)] * 3
        index[axis] = end
        body[tuple(index)] += 1
    shown = cut(body, plane, 2, Geometry(SHAPE).box)
    assert np.argwhere(shown == 2).tolist() == [[0, 0]]


def test_nothing_is_copied():
    voxels = np.zeros(SHAPE)
    frame = facing(Geometry(SHAPE).flipped(0))
    assert np.shares_memory(frame.turn(voxels), voxels)


def test_a_single_slice_is_one_picture_of_its_own_plane():
    assert facing(Geometry((1, 6, 7))).planes == [AXIAL]
    assert facing(Geometry((5, 1, 7))).planes == [CORONAL]
    assert facing(Geometry((5, 6, 1))).planes == [SAGITTAL]
    assert facing(Geometry(SHAPE)).planes == PLANES
    assert facing(Geometry((1, 6, 7))).flat
    assert not facing(Geometry(SHAPE)).flat


@pytest.mark.real_data
def test_a_real_chest_stands_upright(real_data):
    image = read_volume(real_data("cip_lowres_ct") / "ct-64.nrrd")
    frame = facing(image.geometry)
    hu, lungs = frame.turn(image.voxels), frame.turn(lung_field(image).voxels)
    bone = hu > 300
    middle = [n // 2 for n in frame.shape]
    columns = [np.argwhere(cut(lungs, CORONAL, middle[1], image_box(frame)) == side)[:, 1].mean() for side in (2, 1)]
    assert columns[0] < columns[1], "the right lung is on the left of the page"
    rows = np.argwhere(cut(bone, AXIAL, middle[0], image_box(frame)))[:, 0]
    assert np.median(rows) > frame.shape[1] / 2, "the spine is at the bottom of an axial picture"
    width = (cut(lungs, CORONAL, middle[1], image_box(frame)) > 0).sum(axis=1)
    wide = np.flatnonzero(width > 0.9 * width.max())
    lung = np.flatnonzero(width)
    assert wide[0] - lung[0] > 2 * (lung[-1] - wide[-1]), "the lungs taper to the top and end bluntly at the bottom"


def image_box(frame):
    return Geometry(frame.shape).box
