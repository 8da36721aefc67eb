"""Saliency without learning finds what differs from the border, or is dark, and prefers the middle."""

import numpy as np
import pytest

from weakmask.refinement import otsu_threshold
from weakmask.refinement.saliency import border_colour_saliency, dark_centre_saliency


def picture(inside: tuple[int, ...], outside: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A rectangle of one colour in the middle of another, and where it is."""
    truth = np.zeros((60, 80), bool)
    truth[20:40, 25:55] = True
    pixels = np.where(truth[None], np.array(inside)[:, None, None], np.array(outside)[:, None, None])
    return pixels.astype(np.uint8), truth


@pytest.mark.parametrize("colours", [((200, 40, 40), (40, 160, 40)), ((40,), (180,)), ((180,), (40,))])
def test_colours_unlike_the_border_are_salient(colours: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    pixels, truth = picture(*colours)
    found = border_colour_saliency(pixels)
    mask = found > otsu_threshold(found)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    assert found.min() >= 0


def test_dark_things_are_salient_and_bright_ones_are_not() -> None:
    pixels, truth = picture((20,), (220,))
    found = dark_centre_saliency(pixels)
    assert found[truth].min() > found[~truth & (np.arange(80) > 2)].mean()
    mask = found > otsu_threshold(found)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    inverted = dark_centre_saliency(255 - pixels)
    assert inverted[truth].mean() < found[truth].mean() / 2


def test_of_two_equal_things_the_one_in_the_middle_is_more_salient() -> None:
    pixels = np.full((1, 60, 60), 200, np.uint8)
    pixels[0, 25:35, 25:35] = pixels[0, 45:54, 45:54] = 0
    for saliency in (border_colour_saliency, dark_centre_saliency):
        found = saliency(pixels)
        assert found[30, 30] > 1.5 * found[50, 50]


def test_a_picture_of_one_colour_has_no_salient_place() -> None:
    assert border_colour_saliency(np.full((3, 20, 30), 77, np.uint8)).max() == pytest.approx(0, abs=1e-6)
