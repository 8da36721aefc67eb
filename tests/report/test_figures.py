"""Pictures show the numbers they are made of."""

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from weakmask.report.figures import (
    BOTH,
    PREDICTED_ONLY,
    TRUTH_ONLY,
    agreement_picture,
    grey_picture,
    heat_gradient,
    heat_picture,
    png,
    webp,
)


def opened(uri: str) -> Image.Image:
    head, _, content = uri.partition(",")
    picture = Image.open(BytesIO(base64.b64decode(content)))
    assert head == f"data:image/{picture.format.lower()};base64"
    return picture


def test_the_window_becomes_black_and_white():
    values = np.array([[-2000.0, -1200.0, -450.0], [300.0, 3000.0, np.nan]])
    np.testing.assert_array_equal(grey_picture(values, (-1200, 300), (3, 2)), [[0, 0, 128], [255, 255, 0]])


def test_pictures_are_interpolated_to_the_asked_size():
    ramp = np.tile(np.linspace(0, 100, 10), (4, 1))
    grey = grey_picture(ramp, (0, 100), (50, 8))
    assert grey.shape == (8, 50)
    assert (np.diff(grey[0].astype(int)) >= 0).all()


def test_no_activation_leaves_the_grey_picture():
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    heat = heat_picture(grey, np.zeros((5, 5)))
    np.testing.assert_array_equal(heat, np.repeat(grey[..., None], 3, axis=2))


def test_a_stronger_activation_is_further_from_grey():
    grey = np.full((4, 4), 90, np.uint8)
    distance = [np.abs(heat_picture(grey, np.full((2, 2), a)).astype(int) - 90).sum() for a in (0.0, 0.2, 0.6, 1.0)]
    assert distance == sorted(distance)
    assert distance[0] == 0


def test_a_map_that_is_no_number_is_shown_as_none():
    grey = np.full((4, 4), 90, np.uint8)
    np.testing.assert_array_equal(heat_picture(grey, np.full((2, 2), np.nan)), 90)


def test_agreement_has_a_colour_for_each_case():
    mask, truth = np.array([[0, 1], [0, 3]]), np.array([[0, 0], [2, 1]])
    picture = opened(png(agreement_picture(mask, truth))).convert("RGBA")
    colours = [[picture.getpixel((column, row)) for column in (0, 1)] for row in (0, 1)]
    assert colours == [[(0, 0, 0, 0), PREDICTED_ONLY], [TRUTH_ONLY, BOTH]]


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_a_picture_survives_its_packing(shape):
    smooth = np.broadcast_to(np.linspace(0, 255, 30)[None, :, None][..., : len(shape) - 2 or 1], (20, 30, 1))
    picture = np.broadcast_to(smooth, (20, 30, 3)) if len(shape) == 3 else smooth[..., 0]
    back = np.asarray(opened(webp(np.ascontiguousarray(picture.astype(np.uint8)))).convert("L"))
    assert np.abs(back - smooth[..., 0]).mean() < 4


def test_the_gradient_goes_from_dark_to_light():
    stops = [sum(map(int, stop[4:-1].split())) for stop in heat_gradient().split(", ")]
    assert stops == sorted(stops)
    assert len(stops) == 9
