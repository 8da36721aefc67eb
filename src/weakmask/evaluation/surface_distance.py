"""Distance between the surfaces of two masks."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from weakmask.volume.geometry import Float3


def mean_surface_distance(
    prediction: Bool[np.ndarray, "z y x"], truth: Bool[np.ndarray, "z y x"], spacing_mm: Float3
) -> float:
    """The mean distance in mm from each voxel of either surface to the nearest one of the other.

    A surface is the voxels of a mask that have a face outside it; beyond the grid is outside.

    Args:
        prediction: A mask.
        truth: Another on the same grid.
        spacing_mm: Edges of a voxel.

    Returns:
        0 for equal masks; nan where a mask is empty.
    """
    if not (prediction.any() and truth.any()):
        return float("nan")
    first, second = surface(prediction), surface(truth)
    to_first, to_second = (
        np.asarray(ndimage.distance_transform_edt(~one, sampling=spacing_mm)) for one in (first, second)
    )
    distances: Float[np.ndarray, " voxels"] = np.concatenate([to_second[first], to_first[second]])
    return float(distances.mean())


def surface(mask: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """The voxels of a mask that have a face outside it."""
    return mask & np.logical_not(ndimage.binary_erosion(mask))
