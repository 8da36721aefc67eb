"""Outline of a mask as a compact SVG path, sharp at every zoom."""

import numpy as np
from jaxtyping import Bool, Shaped
from skimage.measure import find_contours

MOST_STEPS = 8000  # a mask with a longer outline is drawn at a coarser resolution


def outline(mask: Bool[np.ndarray, "rows columns"]) -> str:
    """Closed path around all marked pixels, in units of half pixels.

    In these units pixel (row, column) is the square from (2 column, 2 row) to (2 column + 2, 2 row + 2), so
    a view box of "0 0 2*columns 2*rows" places the path over the picture. The line runs half-way between the centres of
    marked and unmarked pixels and cuts corners. Masks with more than 8,000 steps of outline are halved first.

    Returns:
        The `d` attribute; empty for an empty mask.
    """
    step = 1
    while _steps(mask) > MOST_STEPS:
        mask, step = halved(mask), 2 * step
    if not mask.any():
        return ""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    block = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    corner = np.array([2 * top - 1, 2 * left - 1])  # centre of the padded block's pixel (0, 0)
    lines = find_contours(block.astype(np.float32), 0.5)
    return "".join(_path((np.rint(2 * line).astype(int) + corner) * step) for line in lines)


def borders(labels: Shaped[np.ndarray, "rows columns"]) -> str:
    """The outlines of all labels except 0, as one path."""
    return "".join(outline(labels == label) for label in np.unique(labels) if label != 0)


def halved(mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows2 columns2"]:
    """The mask at half the resolution: marked where at least half of the block is."""
    rows, columns = mask.shape
    even = np.pad(mask, ((0, rows % 2), (0, columns % 2)))
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3)) >= 0.5


def _steps(mask: Bool[np.ndarray, "rows columns"]) -> int:
    """Number of pixel edges between marked and unmarked pixels."""
    return int(np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1]))


def _path(points: np.ndarray) -> str:
    """A closed line of (row, column) points as relative moves, straight runs merged."""
    moves = np.diff(points, axis=0)
    turns = np.flatnonzero((moves[1:] != moves[:-1]).any(axis=1)) + 1
    merged = np.add.reduceat(moves, np.concatenate([[0], turns]), axis=0)
    text = " ".join(f"{x} {y}" for y, x in merged.tolist())
    return f"M{points[0][1]} {points[0][0]}l{text}z".replace(" -", "-")
