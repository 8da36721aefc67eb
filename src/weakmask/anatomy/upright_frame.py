"""A coarse copy of a scan along the patient's axes, and the transfer of results back to the scan's grid.

The axes of the copy run toward head, back and left (the world axes), so that code which searches for anatomy need not
handle directions.
"""

import itertools

import numpy as np

from weakmask.volume.geometry import IDENTITY, Box, Geometry
from weakmask.volume.morphology import Mask, grown, object_boxes, rim
from weakmask.volume.resample import resample_onto
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume

OUTSIDE_HU = -1024.0  # value outside the scan and of padding
BRIGHTEST_HU = 1000.0  # upper bound, so that metal does not dominate the mean of its block
CORNERS = np.array([(z, y, x) for z, y, x in itertools.product((0, 1), repeat=3)], dtype=float)


def coarse_upright(image: Volume, spacing_mm: float) -> Volume:
    """Block means of a scan at about `spacing_mm`, along the patient's axes.

    Args:
        image: A scan in Hounsfield units, in any order; NaN and values below -1024 become -1024.
        spacing_mm: Target size of the blocks of whole voxels; coarser axes are unchanged.

    Returns:
        float32 voxels toward head, back and left; an oblique scan is resampled.
    """
    coarse = _block_means(upright(image), spacing_mm)
    if coarse.geometry.direction == IDENTITY:
        return coarse
    return resample_onto(coarse, _upright(coarse.geometry), fill=OUTSIDE_HU)


def _block_means(image: Volume, spacing_mm: float) -> Volume:
    """Block means, computed slab by slab to save memory."""
    shape = image.geometry.shape
    factors = [max(1, round(spacing_mm / s)) for s in image.geometry.spacing_mm]
    z, y, x = (f * s for f, s in zip(factors, image.geometry.spacing_mm, strict=True))
    geometry = image.geometry.with_spacing((z, y, x))
    starts = [np.arange(0, n, f) for n, f in zip(shape, factors, strict=True)]
    voxels = np.empty(geometry.shape, dtype=np.float32)
    for row, start in enumerate(starts[0]):
        slab = np.nan_to_num(image.voxels[start : start + factors[0]], nan=OUTSIDE_HU)
        plane = np.clip(slab, OUTSIDE_HU, BRIGHTEST_HU).mean(axis=0, dtype=np.float32)
        for axis in (0, 1):
            in_block = np.diff(starts[axis + 1], append=shape[axis + 1]).astype(np.float32)
            plane = np.add.reduceat(plane, starts[axis + 1], axis) / np.expand_dims(in_block, 1 - axis)
        voxels[row] = plane
    return Volume(voxels, geometry)


def _upright(geometry: Geometry) -> Geometry:
    """The grid along the world axes that contains an oblique grid, whose axes run nearest to them."""
    nearest = np.abs(np.asarray(geometry.direction)).argmax(axis=1)
    spacing = np.asarray(geometry.spacing_mm)
    if nearest.tolist() != [0, 1, 2]:  # half way between two axes
        spacing = np.full(3, spacing.min())
    corners = np.c_[CORNERS * (np.asarray(geometry.shape) - 1), np.ones(8)]
    world = (corners @ geometry.affine.T)[:, :3]
    z, y, x = (int(n) for n in np.ceil(np.ptp(world, axis=0) / spacing - 1e-3) + 1)
    oz, oy, ox = (float(o) for o in world.min(axis=0))
    return Geometry((z, y, x), (float(spacing[0]), float(spacing[1]), float(spacing[2])), (oz, oy, ox))


def graded(mask: Mask, share: np.ndarray) -> np.ndarray:
    """Convert a mask to values from 0 outside to 1 inside, with its border at one half at sub-voxel precision.

    Args:
        mask: A mask on the coarse grid.
        share: Fraction of each voxel that belongs to the structure, in [0, 1]. It is used on the mask's rim and next to
            it, where it agrees with the mask; elsewhere the mask decides.

    Returns:
        float32 for `paint`.
    """
    values = mask.astype(np.float32)
    border = (rim(mask) & (share > 0.5)) | (grown(mask) & ~mask & (share < 0.5))
    values[border] = share[border]
    return values


def paint(labels: np.ndarray, label: int, values: Volume, geometry: Geometry) -> None:
    """Write `label` into labels on a scan's grid where coarse graded values are above one half.

    Args:
        labels: Changed in place; of the geometry's shape.
        label: The label.
        values: Result of `graded`, on the coarse grid.
        geometry: The scan's grid.
    """
    boxes = object_boxes((values.voxels > 0).astype(np.int8))
    if not boxes:
        return
    box = boxes[0][1]
    corners = np.asarray(box.start) - 0.5 + CORNERS * np.asarray(box.shape)
    corners = (np.c_[corners, np.ones(8)] @ values.geometry.index_map(geometry).T)[:, :3]
    z0, y0, x0 = (int(i) for i in np.floor(corners.min(axis=0)))
    z1, y1, x1 = (int(i) + 1 for i in np.ceil(corners.max(axis=0)))
    target = Box((z0, y0, x0), (z1, y1, x1)).clipped(geometry.shape)
    if min(target.shape) > 0:
        fine = resample_onto(values, geometry.cropped(target))
        labels[target.slices][fine.voxels > 0.5] = label
