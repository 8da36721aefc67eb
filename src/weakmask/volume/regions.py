"""Regions of a scan: their sizes, their bounding boxes, and crops of the scan around them."""

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.geometry import Box, Index3
from weakmask.volume.morphology import margin_voxels, object_boxes
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume


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


def region_boxes(labels: Volume, margin_mm: float = 0.0) -> dict[int, Box]:
    """Bounding box of every region in a label map, found in one pass.

    Args:
        labels: A label map of whole numbers, 0 outside.
        margin_mm: Added on every side, rounded up to whole voxels; boxes end at the grid's edge.

    Returns:
        Box by label, for the labels that occur.

    Raises:
        UserError: Labels that are negative or not whole.
    """
    voxels = labels.voxels
    if voxels.dtype.kind not in "iu":
        whole = voxels.astype(np.int32)
        if not np.array_equal(whole, voxels):
            raise UserError("the region mask has fractions; expected whole labels: was it resampled as an image?")
        voxels = whole
    if voxels.min() < 0:
        raise UserError(f"the region mask has the label {voxels.min()}; expected 0 outside and labels from 1 up")
    margin = margin_voxels(margin_mm, labels.geometry.spacing_mm)
    return {label: box.grown(margin).clipped(voxels.shape) for label, box in object_boxes(voxels)}


def region_box(labels: Volume, label: int, margin_mm: float = 0.0) -> Box:
    """Bounding box of one region with a margin, as in `region_boxes`.

    Raises:
        UserError: The mask has no such region.
    """
    boxes = region_boxes(labels, margin_mm)
    if label not in boxes:
        present = ", ".join(map(str, boxes)) or "none"
        raise UserError(f"the region mask has no voxel with label {label}; its labels: {present}")
    return boxes[label]


def crop_region(image: Volume, labels: Volume, label: int, margin_mm: float, shape: Index3) -> tuple[Volume, Volume]:
    """Crop one region and resample the crop to a fixed number of voxels, as in dRAM (Xie et al. 2021, section III).

    Voxels outside the region are kept; the caller sets them to 0 after windowing.

    Args:
        image: The scan.
        labels: Its regions, on the same grid.
        label: The region.
        margin_mm: Around the region; the crop ends at the scan's edge.
        shape: Voxels (z, y, x) of the result, for a region of any extent.

    Returns:
        The image (linear, float32) and the region (nearest, uint8: 1 inside), on one grid.

    Raises:
        UserError: The grids differ, or the mask has no such region.
    """
    if not image.geometry.same_grid(labels.geometry):
        raise UserError(
            f"the region mask has the grid {labels.geometry.shape} at {labels.geometry.spacing_mm} mm, the scan "
            f"{image.geometry.shape} at {image.geometry.spacing_mm} mm, or they lie apart; resample the mask onto it"
        )
    grid = image.geometry.cropped(region_box(labels, label, margin_mm)).with_shape(shape)
    part = resample_onto(image, grid)
    region = resample_onto(labels.with_voxels(labels.voxels, kind="label"), grid)
    return part, region.with_voxels((region.voxels == label).astype(np.uint8))
