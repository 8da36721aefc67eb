"""X-ray phantoms: what is planted is where the truth says, and nothing else changes."""

from functools import cache

import numpy as np
import pytest

from weakmask.phantoms.chest_anatomy import LEFT, RIGHT, draw_patient
from weakmask.phantoms.chest_xray import Xray, make_xray
from weakmask.phantoms.noise import Grid, centred_geometry
from weakmask.phantoms.pneumothorax import Pneumothorax, draw_pneumothorax
from weakmask.phantoms.radiograph import draw_view, radiograph

SIDE, SEED = 96, 501
LARGE = Pneumothorax(side=LEFT, hilum_x=40.0, apex=120.0, foot=-60.0, fall=40.0, shrunk=0.3)


@cache
def made(pneumothorax: bool, size: float = 1.0, bits: int = 8) -> Xray:
    return make_xray(SEED, SIDE, pneumothorax=pneumothorax, size=size, bits=bits)


def test_the_same_arguments_give_the_same_bytes() -> None:
    again = make_xray(SEED, SIDE, pneumothorax=True)
    assert np.array_equal(again.image, made(True).image)
    assert np.array_equal(again.truth, made(True).truth)
    assert made(True).image.dtype == np.uint8


def test_the_pneumothorax_is_darker_than_the_same_place_of_the_healthy_chest() -> None:
    ill, healthy = made(True, 3.0), made(False)
    inside = ill.truth == 1
    assert 0.01 < inside.mean() < 0.15
    assert not healthy.truth.any()
    change = ill.image.astype(float) - healthy.image
    # the line of the pleura is brighter, so most of the area is darker, not all of it; the window moves a little
    assert np.median(change[inside]) < np.median(change[inside[:, ::-1]]) - 6


def test_a_larger_size_is_a_larger_area() -> None:
    assert made(True).truth.mean() < 0.7 * made(True, 3.0).truth.mean()


def test_each_of_many_has_an_area() -> None:
    drawn = [draw_pneumothorax(draw_patient(seed), seed) for seed in range(200)]
    assert {one.side for one in drawn} == {LEFT, RIGHT}
    least = min(drawn, key=lambda one: one.shrunk + one.fall / 100)
    assert make_xray(drawn.index(least), SIDE, pneumothorax=True).truth.any()


def test_sixteen_bits_show_the_same_picture() -> None:
    deep = made(False, bits=16).image
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - made(False).image).max() < 0.51


def test_tissue_and_points_move_alike() -> None:
    grid = Grid.of(centred_geometry((90, 3, 150), (3.0, 4.0, 2.0)))
    point = np.array([[70.0, 0.0, 95.0]])
    spot = np.exp(-((grid.z - 70) ** 2 + (grid.x - 95) ** 2) / 60) * np.ones(grid.shape)
    found = LARGE.retracted(grid, spot)[:, 1]
    row, column = np.unravel_index(found.argmax(), found.shape)
    z, _, x = grid.axes
    moved = LARGE.moved(point)[0]
    assert (z[row], x[column]) == pytest.approx((moved[0], moved[2]), abs=3.0)
    assert moved[0] < 70 - 10  # down
    assert moved[2] < 95 - 5  # toward the hilum


def test_the_other_side_and_the_part_below_stay() -> None:
    points = np.array([[70.0, 0.0, -95.0], [-80.0, 0.0, 95.0]])
    assert np.array_equal(LARGE.moved(points), points)
    grid = Grid.of(centred_geometry((90, 3, 150), (3.0, 4.0, 2.0)))
    values = np.random.default_rng(0).random(grid.shape)
    x = grid.axes[2]
    assert np.array_equal(LARGE.retracted(grid, values)[:, :, x < 0], values[:, :, x < 0])


def test_more_tissue_is_brighter_and_the_view_keeps_the_middle() -> None:
    water = np.full((128, 128), 80.0)
    water[:, 64:] = 180.0
    grey = radiograph(water, 3).astype(float)
    assert grey[:, 100:].mean() > grey[:, :30].mean() + 100
    plane = np.zeros((300, 300), np.float32)
    plane[110:190, 110:190] = 1
    seen = draw_view(4, 64, 1.0).of(plane)
    assert seen.shape == (64, 64)
    assert seen[28:36, 28:36].min() > 0.9
    assert seen[:4].max() < 0.1
