"""The part of a map that has the sharpest border in the image.

A level of a map cuts out a region, and no level fits all pictures. Where a thing differs from what surrounds it, its
border shows in the grey values: of all levels, the one is taken whose outline has the greatest contrast.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import binary_dilation, binary_erosion, binary_fill_holes, gaussian_filter
from skimage.measure import label
from torch import Tensor

from weakmask.refinement.input_checks import require_tensors
from weakmask.refinement.shade import Shade

LEVELS = tuple(step / 20 for step in range(4, 17))  # of the map's maximum
SMALLEST, LARGEST = 60 / 224**2, 0.4  # shares of the picture that a region has
GROWTH = 0.1  # exponent of the area: between borders that are about as sharp, the larger region
TINY = 1e-3  # contrast of an outline without any, in standard deviations of the picture

Mask = Bool[np.ndarray, "rows columns"]


def sharpest_region(
    located: Float[Tensor, "1 1 y x"],
    weighted: Float[Tensor, "1 1 y x"],
    image: Float[Tensor, "1 channel y x"],
    shade: Shade,
    sigma: float,
    band: int = 3,
) -> Bool[Tensor, "y x"]:
    """The region around the maximum of a map at the level whose outline is sharpest; holes are filled.

    A level is worth c * m * a ** 0.1: the contrast c is the mean grey value of a band outside the outline minus that
    of a band inside, for dark things; m is the mean of `located` inside, and a is the area.

    Args:
        located: The map in [0, 1].
        weighted: The map whose levels are tried, as `times_top_hat` gives it.
        image: Grey values, or colours whose mean counts.
        shade: Whether the thing is darker or brighter than what surrounds it.
        sigma: Of a Gaussian that smooths the grey values, in pixels; 0: none.
        band: Width of both bands, in pixels.

    Returns:
        Where the region is. A map without a region of a fitting size is cut at half of its maximum; one without a
        positive value has no region.

    Raises:
        TypeError: An input is not a tensor.
    """
    require_tensors(located=located, weighted=weighted, image=image)
    grey = gaussian_filter(image.mean(dim=1)[0].cpu().numpy().astype(np.float64), sigma)
    spread = grey.std()
    steps = (-grey if shade == "bright" else grey) / (spread if spread > 0 else 1.0)
    levels, inside = weighted[0, 0].cpu().numpy(), located[0, 0].cpu().numpy()
    best, value = levels > levels.max() / 2, -np.inf
    if levels.max() <= 0:
        return torch.from_numpy(best & False)
    for level in LEVELS:
        region, box = _around_maximum(levels, level * float(levels.max()), 2 * band)
        area = int(region.sum())
        if not SMALLEST * levels.size <= area <= LARGEST * levels.size:
            continue
        worth = max(_contrast(region, steps[box], band), TINY) * float(inside[box][region].mean()) * area**GROWTH
        if worth > value:
            best, value = np.zeros_like(best), worth
            best[box] = region
    return torch.from_numpy(best)


def _around_maximum(levels: Float[np.ndarray, "y x"], level: float, room: int) -> tuple[Mask, tuple[slice, slice]]:
    """The component above a level that holds the maximum, and the box with room around it that it is cut out of."""
    parts = np.asarray(label(levels > level, connectivity=1))
    here = parts == parts.flat[int(levels.argmax())]
    box = (_around(here.any(axis=1), room), _around(here.any(axis=0), room))
    return np.asarray(binary_fill_holes(here[box]), bool), box


def _around(line: Bool[np.ndarray, " places"], room: int) -> slice:
    """The places that are true, and room on either side."""
    places = np.flatnonzero(line)
    return slice(max(0, int(places[0]) - room), int(places[-1]) + 1 + room)


def _contrast(region: Mask, grey: Float[np.ndarray, "rows columns"], band: int) -> float:
    """Mean grey value just outside an outline minus that just inside; -inf for a region without an outside."""
    outside = np.asarray(binary_dilation(region, iterations=band), bool) & ~region
    inside = region & ~np.asarray(binary_erosion(region, iterations=band, border_value=1), bool)
    return float(grey[outside].mean() - grey[inside].mean()) if outside.any() and inside.any() else -np.inf
