"""Grey values: rescaling, compact storage, windowing to [0, 1], and counting of non-finite voxels."""

import numpy as np

WHOLE_STEPS = 1000  # steps of 1 in a window, from which on rounding real numbers to whole ones shows nowhere
LARGEST_INT16 = 32767


def window(voxels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] linearly to [0, 1] and clip other values.

    Args:
        voxels: Numbers of any real type and shape.
        low: Value mapped to 0; -1200 HU for lungs in the dRAM paper.
        high: Value mapped to 1; 300 HU for lungs in the dRAM paper.

    Returns:
        A float32 array of the same shape; NaN stays NaN.

    Raises:
        ValueError: `high` is not above `low`.
    """
    if not high > low:
        raise ValueError(f"window is [{low}, {high}]; expected the second number above the first")
    mapped = np.subtract(voxels, low, dtype=np.float32)
    mapped *= np.float32(1.0 / (high - low))
    return np.clip(mapped, 0.0, 1.0, out=mapped)


def keeps_whole(source: np.dtype, low: float, high: float) -> bool:
    """Whether int16 keeps the grey values of a window: they fit, and rounding them to whole numbers loses nothing.

    Args:
        source: Of the image: an image of whole numbers has no finer steps than 1.
        low: Of the window.
        high: Of the window; a window of `WHOLE_STEPS` or more takes whole numbers of an image of real numbers too.
    """
    fits = low >= -LARGEST_INT16 and high <= LARGEST_INT16
    return fits and (source.kind in "iub" or high - low >= WHOLE_STEPS)


def compacted(voxels: np.ndarray, source: np.dtype, low: float, high: float) -> np.ndarray:
    """Grey values as a file keeps them: int16 where `keeps_whole` says so, else float32.

    Args:
        voxels: Resampled, hence real numbers.
        source: The type that the image had before.
        low: Of the window that the values will be seen in.
        high: Of the window.

    Returns:
        int16 from -32767 to 32767, so that -32768 is free for voxels without a value; or float32 as they are.
    """
    if not keeps_whole(source, low, high):
        return voxels.astype(np.float32, copy=False)
    return np.clip(np.rint(voxels), -LARGEST_INT16, LARGEST_INT16).astype(np.int16)


def rescale(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Rescale stored numbers: stored * slope + intercept, as stated in a scanner's header.

    Returns:
        int16 if slope and intercept are whole and every value fits (CT in Hounsfield units), else int32 if the values
        fit, else float32.
    """
    dtype = _rescaled_dtype(stored, slope, intercept)
    meant = np.empty(stored.shape, dtype)
    working = np.float64 if dtype is np.float32 else np.int64
    for index in range(len(stored)):  # plane by plane, so that the wide intermediate type needs little memory
        meant[index] = stored[index].astype(working) * working(slope) + working(intercept)
    return meant


def _rescaled_dtype(stored: np.ndarray, slope: float, intercept: float) -> type[np.generic]:
    if stored.dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer():
        ends = [int(end) * int(slope) + int(intercept) for end in (stored.min(), stored.max())]
        for dtype in (np.int16, np.int32):
            if min(ends) >= np.iinfo(dtype).min and max(ends) <= np.iinfo(dtype).max:
                return dtype
    return np.float32


def nonfinite_count(voxels: np.ndarray) -> int:
    """Number of voxels that are NaN or infinite; 0 for integers."""
    if voxels.dtype.kind in "iub":
        return 0
    return sum(plane.size - int(np.count_nonzero(np.isfinite(plane))) for plane in voxels)
