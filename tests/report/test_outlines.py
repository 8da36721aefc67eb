"""The outline drawn is the mask's."""

import re

import numpy as np
import pytest
from matplotlib.path import Path
from scipy.ndimage import gaussian_filter

from weakmask.report.outlines import MOST_STEPS, borders, halved, outline


def corners(path: str) -> list[np.ndarray]:
    """Every closed line of a path as absolute (x, y) points."""
    lines = []
    for part in re.findall(r"M([^z]*)z", path):
        start, moves = part.split("l")
        deltas = np.array(re.findall(r"-?\d+", moves), dtype=int).reshape(-1, 2)
        lines.append(np.array(re.findall(r"-?\d+", start), dtype=int) + np.vstack([[0, 0], np.cumsum(deltas, axis=0)]))
    return lines


def filled(path: str, shape: tuple[int, int]) -> np.ndarray:
    """Which pixel centres lie inside an odd number of lines."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    centres = np.stack([2 * columns.ravel() + 1, 2 * rows.ravel() + 1], axis=1)
    inside = np.zeros(len(centres), dtype=int)
    for line in corners(path):
        inside += Path(line).contains_points(centres)
    return (inside % 2 == 1).reshape(shape)


@pytest.mark.parametrize("seed", range(8))
def test_filling_the_outline_gives_the_mask_back(seed):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((37, 53)), 1 + seed / 4)
    mask = noise > 0.02
    np.testing.assert_array_equal(filled(outline(mask), mask.shape), mask)


def test_lines_are_closed_and_runs_merged():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 3:6] = True
    (line,) = corners(outline(mask))
    assert (line[0] == line[-1]).all()
    assert len(line) - 1 <= 9  # four sides and four cut corners, one of them begun in its middle
    assert line.min(axis=0).tolist() == [6, 4]
    assert line.max(axis=0).tolist() == [12, 14]


def test_a_mask_that_touches_the_border_is_closed_along_it():
    full = np.ones((4, 5), bool)
    (line,) = corners(outline(full))
    assert line.min() == 0
    assert line.max(axis=0).tolist() == [10, 8]


def test_nothing_marked_is_no_path():
    assert outline(np.zeros((5, 5), bool)) == ""
    assert borders(np.zeros((5, 5), np.uint8)) == ""


def test_noise_is_drawn_coarser_rather_than_long():
    noise = np.random.default_rng(0).random((256, 256)) > 0.5
    path = outline(noise)
    assert 0 < len(path) < 12 * MOST_STEPS
    points = np.concatenate(corners(path))
    assert points.min() >= 0
    assert points.max() <= 512


def test_halving_keeps_what_fills_half_a_block():
    mask = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 1, 1], [1, 1, 1, 1, 0]], bool)
    np.testing.assert_array_equal(halved(mask), [[True, False, True], [True, True, False]])


def test_every_region_has_its_border():
    labels = np.zeros((8, 12), np.uint8)
    labels[1:7, 1:6], labels[1:7, 6:11] = 1, 5
    assert len(corners(borders(labels))) == 2
