"""Otsu's threshold (1979); a constant image yields an empty mask."""

import math

import numpy as np
from jaxtyping import Shaped
from skimage.filters import threshold_otsu


def otsu_threshold(values: Shaped[np.ndarray, "*space"]) -> float:
    """Threshold that splits values into two classes with the least variance within the classes.

    Args:
        values: Finite; integers are counted one by one, other types in 256 bins between their extremes.

    Returns:
        The threshold; values above it are the upper class. Infinity if there are no values or all are equal.
    """
    if values.size == 0 or values.min() == values.max():
        return math.inf
    return float(threshold_otsu(values))
