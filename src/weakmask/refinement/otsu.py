"""Otsu's threshold (1979) with its edges settled: what has no two classes has nothing above the threshold."""

import math

import numpy as np
from jaxtyping import Shaped
from skimage.filters import threshold_otsu


def otsu_threshold(values: Shaped[np.ndarray, "*space"]) -> float:
    """The threshold that parts values into two classes with the least variance within them.

    Args:
        values: Finite; whole numbers are weighed one by one, others in 256 bins between their extremes.

    Returns:
        A value belongs to the upper class if it lies above this; infinity, where there are no values or all are one.
    """
    if values.size == 0 or values.min() == values.max():
        return math.inf
    return float(threshold_otsu(values))
