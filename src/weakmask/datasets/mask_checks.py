"""The labels and the grid of a mask, and the words for what is wrong with them."""

from collections.abc import Iterable

import numpy as np

from weakmask.volume.geometry import Geometry


def label_sizes(labels: np.ndarray) -> dict[int, int]:
    """Voxels of every label but 0.

    Args:
        labels: Integers of any shape.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > 65535:  # no table of counts for these
        values, counts = np.unique(labels, return_counts=True)
        sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    else:
        total = np.zeros(highest + 1, dtype=np.int64)
        for plane in labels:
            total += np.bincount(plane.ravel(), minlength=highest + 1)
        sizes = {label: int(count) for label, count in enumerate(total) if count}
    sizes.pop(0, None)
    return sizes


def grid_fault(mask: Geometry, image: Geometry) -> str:
    """How a mask's grid differs from the image's, and what to do; empty if the grids are the same."""
    if mask.same_grid(image):
        return ""
    if mask.shape != image.shape or not np.allclose(mask.spacing_mm, image.spacing_mm, rtol=1e-2):
        came = f"grid {by(mask.shape)} at {by(mask.spacing_mm)} mm, the image's"
        expected = f"{by(image.shape)} at {by(image.spacing_mm)} mm"
    else:
        came = f"grid begins at {by(mask.origin_mm)} mm (z, y, x) or is turned, the image's begins at"
        expected = f"{by(image.origin_mm)} mm"
    return f"{came} {expected}; resample the mask onto the image"


def some(labels: Iterable[int]) -> str:
    """The first eight labels, ascending, for a message."""
    ordered = sorted(labels)
    return ", ".join(map(str, ordered[:8])) + (", ..." if len(ordered) > 8 else "")


def by(numbers: Iterable[float | int]) -> str:
    """Numbers of the three axes for a message: `5 x 0.7 x 0.7`."""
    return " x ".join(f"{number:.4g}" for number in numbers)
