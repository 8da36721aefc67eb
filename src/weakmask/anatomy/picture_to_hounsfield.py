"""Approximate Hounsfield units for 8-bit pictures of chest CT slices, calibrated by the picture's own tissues.

The window of an 8-bit slice is usually unknown. Every chest slice has two known levels: the darkest lung, and the soft
tissue of heart, muscle and liver. A linear function through both brings pictures of any window to one scale. Values
that the window clipped stay lost, and emphysema or a completely consolidated lung shifts the darker level.
"""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from weakmask.errors import UserError
from weakmask.volume.volume import Volume

LUNG_HU = -900.0  # the darkest lung, blurred: aerated parenchyma between vessels
SOFT_TISSUE_HU = 40.0  # muscle and unenhanced blood
BLUR_PIXELS = 1.5  # reduces the noise of sharp kernels
DARKEST_PERCENT = 5.0
LEVELS = 256
HISTOGRAM_BLUR = 3.0  # levels
SATURATED = 250  # higher grey levels are clipped: bone, and soft tissue in narrow windows


def picture_to_hounsfield(image: Volume, regions: Volume) -> Volume:
    """Rescale a picture by its own lung and soft-tissue levels.

    The lung level is the 5th percentile of the blurred grey values inside the regions; the soft-tissue level is the
    most frequent grey value above Otsu's threshold of the whole picture.

    Args:
        image: Grey values of any linear scale, with lung darker than soft tissue.
        regions: The lungs or parts of them, on the same grid.

    Returns:
        About Hounsfield units, float32: -900 at the lung level, 40 at the soft-tissue level.

    Raises:
        UserError: No region, or a picture without both tissues.
    """
    lung, soft = lung_level(image, regions), soft_tissue_level(image)
    if not soft > lung:
        raise UserError(f"the picture's lung level {lung:.0f} is not below its soft tissue {soft:.0f}; is it chest CT?")
    slope = (SOFT_TISSUE_HU - LUNG_HU) / (soft - lung)
    scaled = (image.voxels.astype(np.float32) - np.float32(lung)) * np.float32(slope) + np.float32(LUNG_HU)
    return image.with_voxels(scaled)


def lung_level(image: Volume, regions: Volume) -> float:
    """The grey value of the darkest lung.

    Raises:
        UserError: No region has a voxel.
    """
    inside = regions.voxels > 0
    if not inside.any():
        raise UserError("the picture has no region to read its lung level from; expected at least one")
    blurred = ndimage.gaussian_filter(image.voxels.astype(np.float32), (0.0, BLUR_PIXELS, BLUR_PIXELS))
    return float(np.percentile(blurred[inside], DARKEST_PERCENT))


def soft_tissue_level(image: Volume) -> float:
    """The most frequent grey value brighter than lung, without saturated values.

    Raises:
        UserError: All voxels are equal.
    """
    voxels = image.voxels.astype(np.float64)
    low, high = float(voxels.min()), float(voxels.max())
    if not high > low:
        raise UserError(f"every voxel of the picture is {low:g}; expected a slice with lung and soft tissue")
    if low < 0 or high > LEVELS - 1:  # more than 8 bits are reduced to 256 levels
        level = (voxels - low) * ((LEVELS - 1) / (high - low))
        return low + _mode_above_otsu(level) * (high - low) / (LEVELS - 1)
    return _mode_above_otsu(voxels)


def _mode_above_otsu(levels: np.ndarray) -> float:
    counts = np.bincount(np.rint(levels).astype(np.int64).ravel(), minlength=LEVELS)[:SATURATED]
    above = np.arange(SATURATED) > threshold_otsu(levels)
    # values below are removed first, as smoothing would carry them over the threshold
    frequent = ndimage.gaussian_filter1d(np.where(above, counts, 0).astype(np.float64), HISTOGRAM_BLUR)
    return float(np.argmax(frequent))
