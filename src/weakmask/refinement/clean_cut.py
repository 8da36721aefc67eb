"""The cut of a map that is chosen without masks: on regions that are known to have no lesion, and were not learnt."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

CLEAN = 0.01  # share of a region below which nothing counts as marked: where the scores of lesions begin
SHARE = 0.5  # of the regions that are to be clean


def clean_cut(regions: Sequence[Float[np.ndarray, " _"]]) -> float:
    """The lowest cut at which half of the regions without lesions have less than 1 % of their voxels marked.

    A voxel is marked where its value is at least the cut. A higher share of the regions would ask for a higher cut.

    Args:
        regions: The values of a map inside each region that has no lesion.

    Returns:
        A number just above one of the values, in float32.

    Raises:
        ValueError: No region, or one without a voxel.
    """
    if not regions or any(values.size == 0 for values in regions):
        raise ValueError("a cut is chosen on regions without lesions; expected at least one, each with voxels")
    cuts = sorted(clean_cut_of_region(values) for values in regions)
    return cuts[math.ceil(SHARE * len(cuts)) - 1]


def clean_cut_of_region(values: Float[np.ndarray, " voxels"]) -> float:
    """The lowest cut at which less than 1 % of one region's voxels are marked."""
    spared = math.ceil(CLEAN * values.size) - 1  # the most voxels that may be marked
    highest = np.partition(values.astype(np.float32), values.size - 1 - spared)[values.size - 1 - spared]
    return float(np.nextafter(highest, np.float32(np.inf)))
