"""Targets of networks for instances in stacks of sections: the mask, and the contour of each instance.

As in the authors' code of Li et al. 2021 (arXiv 2104.07961). All windows lie within sections.
"""

import numpy as np
from jaxtyping import Bool, Integer
from scipy import ndimage

Labels = Integer[np.ndarray, "z y x"]
NO_INSTANCE = np.iinfo(np.int32).max  # takes the place of background where a minimum is wanted among instances


def with_parted_instances(labels: Labels) -> Labels:
    """Instances with one voxel of background on both sides of each border between two of them.

    A voxel whose 3x3 window holds two instances becomes background; borders with background stay.
    """
    highest, lowest = _extremes(labels, 1)
    return np.where(highest > lowest, 0, labels).astype(labels.dtype, copy=False)


def mask_and_contour(
    labels: Labels, half_width: int = 2, *, part: bool = True
) -> tuple[Bool[np.ndarray, "z y x"], Bool[np.ndarray, "z y x"]]:
    """The mask of all instances, and the band on both sides of every border between instances or with background.

    Args:
        labels: 0 outside, a positive number per instance.
        half_width: Half the width of the band, in voxels.
        part: Part touching instances first, see `with_parted_instances`.
    """
    parted = with_parted_instances(labels) if part else labels
    side = 2 * half_width + 1
    highest = _filtered(ndimage.maximum_filter1d, parted, side)
    lowest = _filtered(ndimage.minimum_filter1d, parted, side)
    return parted > 0, highest != lowest


def half_width_in_voxels(half_width_nm: float, pixel_nm: float) -> int:
    """The half-width of a contour in voxels, at least 1."""
    return max(1, round(half_width_nm / pixel_nm))


def _extremes(labels: Labels, reach: int) -> tuple[Labels, Labels]:
    """The highest and the lowest instance in the window of each voxel; background does not count."""
    side = 2 * reach + 1
    among = np.where(labels == 0, NO_INSTANCE, labels)
    return _filtered(ndimage.maximum_filter1d, labels, side), _filtered(ndimage.minimum_filter1d, among, side)


def _filtered(filter1d, labels: Labels, side: int) -> Labels:  # noqa: ANN001 - a function of scipy
    """A filter along rows and columns; the outermost voxel is repeated beyond the border."""
    return filter1d(filter1d(labels, side, axis=2, mode="nearest"), side, axis=1, mode="nearest")
