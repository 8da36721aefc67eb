"""The grid of a mask, and the words for what is wrong with it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.files import names_structures
from weakmask.volume.geometry import Geometry
from weakmask.volume.storage_order import has_no_position, in_order_of, part_of
from weakmask.volume.volume import Volume


def on_grid(mask: Volume, image: Geometry, what: str | Path) -> Volume:
    """The mask on the grid of its image: the one answer to whether both have the same voxels.

    The voxels may be stored in another order of axes; they are turned to the image's, without interpolation. A
    segmentation that names its structures may cover a part of the image's voxels; the others are 0.

    Args:
        mask: A mask of regions or lesions.
        image: The grid of its image. The result gets exactly this one, so that headers that differ by rounding do not
            let mask and image drift apart.
        what: The mask's file, or the mask in words.

    Raises:
        UserError: The voxels are not the image's; the line says how they differ and what to do.
    """
    try:
        return in_order_of(mask, image)
    except ValueError as error:
        placed = part_of(mask, image) if isinstance(what, Path) and names_structures(what) else None
        if placed is not None:
            return placed
        raise UserError(f"{what}: {_difference(mask.geometry, image)}") from error


def _difference(mask: Geometry, image: Geometry) -> str:
    """How a mask's grid differs from the image's, and what to do."""
    of_this_size = mask.spacing_mm == (1.0, 1.0, 1.0) or np.allclose(mask.spacing_mm, image.spacing_mm, rtol=1e-2)
    if mask.shape == image.shape and has_no_position(mask) and of_this_size:
        return (
            f"the mask has no position (identity header), but the scan's {by(image.shape)} voxels; copy the scan's "
            "header to the mask"
        )
    if sorted(mask.shape) == sorted(image.shape) and has_no_position(mask) and of_this_size:
        return (
            f"the mask has no position (identity header), and its {by(mask.shape)} voxels are the scan's "
            f"{by(image.shape)} in another order of axes; save it with the scan's axes and header"
        )
    if mask.shape == image.shape and has_no_position(image) and image.spacing_mm == (1.0, 1.0, 1.0):
        return (
            f"the scan has no position (identity header), the mask of its {by(image.shape)} voxels has one; copy the "
            "mask's header to the scan"
        )
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
