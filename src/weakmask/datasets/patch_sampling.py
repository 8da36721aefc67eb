"""Places of training patches in volumes: anywhere, around a voxel of the foreground, or around a dark one outside."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer, UInt8
from scipy import ndimage

from weakmask.volume.geometry import Index3

MOST_PLACES = 200_000  # voxels of the foreground that are kept per volume
AROUND = 7  # pixels along a side of the squares whose mean is compared


def foreground_places(labels: Integer[np.ndarray, "z y x"]) -> Integer[np.ndarray, " place"]:
    """Flat indices of voxels of the foreground, evenly thinned to `MOST_PLACES`."""
    return _thinned(np.flatnonzero(labels))


def dark_places(
    image: UInt8[np.ndarray, "z y x"], labels: Integer[np.ndarray, "z y x"]
) -> Integer[np.ndarray, " place"]:
    """Flat indices of voxels of the background that are as dark as the foreground, evenly thinned to `MOST_PLACES`.

    They are darker than the median of the foreground, in means over 7x7 pixels, and more than two pixels from it: dark
    structures that a network may take for the foreground.
    """
    foreground = labels > 0
    if not foreground.any():
        return np.empty(0, np.intp)
    smooth = ndimage.uniform_filter1d(ndimage.uniform_filter1d(image.astype(np.float32), AROUND, 1), AROUND, 2)
    near = np.asarray(ndimage.binary_dilation(foreground, np.ones((1, 5, 5), bool)), bool)
    return _thinned(np.flatnonzero((smooth < np.median(smooth[foreground])) & ~near))


def _thinned(places: Integer[np.ndarray, " place"]) -> Integer[np.ndarray, " fewer"]:
    return places[:: max(1, -(-len(places) // MOST_PLACES))]


def draw_volume(shapes: Sequence[Index3], rng: np.random.Generator) -> int:
    """A volume, in proportion to its voxels."""
    sizes = np.array([np.prod(shape) for shape in shapes], float)
    return int(rng.choice(len(shapes), p=sizes / sizes.sum()))


def draw_centre(
    shape: Index3,
    patch: Index3,
    rng: np.random.Generator,
    places: Integer[np.ndarray, " place"] | None = None,
    foreground: float = 0.0,
) -> Index3:
    """The middle of a patch that lies inside the volume where the volume is large enough.

    Args:
        shape: Of the volume.
        patch: Of the patch.
        rng: Source of the draws.
        places: The voxels of the foreground, from `foreground_places`.
        foreground: Probability that the patch is put around such a voxel instead of anywhere.
    """
    lows = [side // 2 for side in patch]
    highs = [max(low, n - (side - side // 2)) for low, side, n in zip(lows, patch, shape, strict=True)]
    anywhere = [int(rng.integers(low, high + 1)) for low, high in zip(lows, highs, strict=True)]
    around = rng.random() < foreground
    place = rng.random()
    if around and places is not None and len(places):
        voxel = np.unravel_index(int(places[int(place * len(places))]), shape)
        anywhere = [int(np.clip(v, low, high)) for v, low, high in zip(voxel, lows, highs, strict=True)]
    z, y, x = (min(middle, n - 1) for middle, n in zip(anywhere, shape, strict=True))
    return z, y, x
