"""Otsu's threshold inside each region: two classes of grey, whatever they are."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from weakmask.refinement.otsu import otsu_threshold


def otsu_in_regions(
    voxels: Shaped[np.ndarray, "*space"], regions: Integer[np.ndarray, "*space"], labels: Sequence[int]
) -> Bool[np.ndarray, "*space"]:
    """Mark the brighter class of each region, each with a threshold of its own (Otsu 1979).

    It always finds two classes, so that in a healthy lobe it marks the vessels.

    Args:
        voxels: HU, or grey values of a window.
        regions: Integer region labels on the same grid.
        labels: The regions to segment.

    Returns:
        The mask; empty in regions that are absent or of one value.
    """
    mask = np.zeros(voxels.shape, dtype=bool)
    for label in labels:
        region = regions == label
        values = voxels[region]
        mask[region] = values > otsu_threshold(values)
    return mask
