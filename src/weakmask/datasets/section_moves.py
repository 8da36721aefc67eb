"""Random moves of stacks within their sections: rotation, rescaling and bending in one interpolation; flips.

A plane map says for each pixel of the new sections where it is looked up in the old ones; it is the same for all
sections of a stack. The ranges are those of the authors' code of Li et al. 2021 (arXiv 2104.07961).
"""

import math

import numpy as np
import torch
from jaxtyping import Float32, Integer, Shaped
from scipy import ndimage
from torch.nn import functional as F

PlaneMap = Float32[np.ndarray, "2 rows columns"]


def plane_map(shape: tuple[int, int]) -> PlaneMap:
    """The map that changes nothing: offsets (y, x) of each pixel from the middle of the section."""
    lines = [np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in shape]
    return np.stack(np.meshgrid(*lines, indexing="ij"))


def rotated(offsets: PlaneMap, angle: float) -> PlaneMap:
    """Turn sections about their middle, by an angle in radians."""
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    y, x = offsets
    return np.stack([c * y - s * x, s * y + c * x])


def rescaled(offsets: PlaneMap, factors: tuple[float, float]) -> PlaneMap:
    """Enlarge sections along y and x by these factors."""
    return offsets / np.array(factors, np.float32)[:, None, None]


def bent(offsets: PlaneMap, rng: np.random.Generator, alpha: float = 16.0, sigma: float = 4.0) -> PlaneMap:
    """Add an elastic deformation (Simard et al. 2003).

    Args:
        offsets: The map.
        rng: Source of the draws.
        alpha: Factor of the smoothed field of uniform numbers in [-1, 1], in pixels.
        sigma: Of the Gaussian that smooths it, in pixels.
    """
    field = rng.uniform(-1.0, 1.0, offsets.shape).astype(np.float32)
    return offsets + np.float32(alpha) * ndimage.gaussian_filter(field, (0, sigma, sigma), mode="nearest")


def extent(offsets: PlaneMap) -> tuple[int, int]:
    """How many pixels a map looks to either side of the middle, along y and x."""
    y, x = (math.ceil(float(np.abs(one).max())) for one in offsets)
    return y, x


def looked_up(sections: Shaped[np.ndarray, "z y x"], offsets: PlaneMap) -> Shaped[np.ndarray, "z rows columns"]:
    """Sections moved by a plane map about their middle: grey values linearly, labels by the nearest pixel.

    From beyond the border comes the mirrored section.

    Args:
        sections: Floats are grey values, whole numbers are labels.
        offsets: The map.
    """
    rows, columns = sections.shape[1:]
    y, x = (one + np.float32((n - 1) / 2) for one, n in zip(offsets, (rows, columns), strict=True))
    if sections.dtype.kind != "f":
        return sections[
            :, _mirrored(np.rint(y).astype(np.int64), rows), _mirrored(np.rint(x).astype(np.int64), columns)
        ]
    scale = [2 / max(n - 1, 1) for n in (columns, rows)]
    grid = np.stack([x * np.float32(scale[0]) - 1, y * np.float32(scale[1]) - 1], axis=-1)
    found = F.grid_sample(
        torch.from_numpy(np.ascontiguousarray(sections, np.float32))[None],
        torch.from_numpy(grid.astype(np.float32))[None],
        mode="bilinear",
        padding_mode="reflection",
        align_corners=True,
    )
    return found[0].numpy()


def flipped(
    image: Float32[np.ndarray, "z y x"], labels: Integer[np.ndarray, "z y x"], rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "z rows columns"], Integer[np.ndarray, "z rows columns"]]:
    """Mirror each axis and exchange y and x (of square sections), each with probability a half."""
    draws = rng.random(4) < 0.5
    axes = tuple(int(axis) for axis in np.flatnonzero(draws[:3]))
    swap = bool(draws[3]) and image.shape[1] == image.shape[2]
    image, labels = (np.flip(one, axes) for one in (image, labels))
    if swap:
        image, labels = (one.swapaxes(1, 2) for one in (image, labels))
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def _mirrored(place: Integer[np.ndarray, "..."], n: int) -> Integer[np.ndarray, "..."]:
    """Indices of a line mirrored at its ends."""
    if n == 1:
        return np.zeros_like(place)
    folded = np.abs(place) % (2 * n - 2)
    return np.minimum(folded, 2 * n - 2 - folded)
