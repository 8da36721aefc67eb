"""Assignment of lung voxels to lobes from network output: one piece per lobe, no holes, nothing outside the lungs.

Components and distances are computed on the network's coarse grid. The result is interpolated linearly onto the scan's
grid in slabs, so that only one slab is in memory.
"""

import numpy as np
from jaxtyping import Bool, Float32, Integer
from scipy import ndimage

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.anatomy.lung_sides import LEFT, RIGHT
from weakmask.refinement.components import keep_largest
from weakmask.volume.geometry import Box, Float3
from weakmask.volume.morphology import object_boxes
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

LOBES = NUMBERINGS["weakmask"]
SIDES: dict[int, tuple[int, ...]] = {
    LEFT: (LOBES["LUL"], LOBES["LLL"]),
    RIGHT: (LOBES["RUL"], LOBES["RML"], LOBES["RLL"]),
}
SLAB_VOXELS = 1 << 22
Shares = Float32[np.ndarray, "class z y x"]


def assign_lobes(shares: Shares, grid: Volume, field: Volume) -> Volume:
    """Assign each lung voxel to the most probable lobe of its side.

    Args:
        shares: Probability per class (background, then the lobes in weakmask's numbering) on the network's grid.
        grid: Any volume on that grid.
        field: Left lung 1, right lung 2, on the scan's grid.

    Returns:
        Lobes (uint8) on the scan's grid; a lung without any predicted lobe stays empty.
    """
    labels = np.zeros(field.geometry.shape, np.uint8)
    for side, lobes in SIDES.items():
        boxes = object_boxes((field.voxels == side).astype(np.int8))
        of_side = shares[list(lobes)]
        likely = np.where(of_side.sum(axis=0) > 0.5, of_side.argmax(axis=0) + 1, 0)
        if not boxes or not likely.any():
            continue
        pieces = one_piece_each(likely, len(lobes), grid.geometry.spacing_mm)
        for number in range(1, len(lobes) + 1):  # cleaned voxels get probability 1, others keep the network's
            of_side[number - 1] = np.where(pieces == likely, of_side[number - 1], pieces == number)
        parts = [grid.with_voxels(share, "image") for share in of_side]
        paint_largest(labels, field, boxes[0][1], side, dict(zip(lobes, parts, strict=True)))
    return field.with_voxels(labels, "label")


def assign_freely(shares: Shares, grid: Volume, image: Volume) -> Volume:
    """Assign each voxel to its most probable class, without a lung field: one piece per lobe, holes filled.

    Args:
        shares: As in `assign_lobes`.
        grid: Any volume on the network's grid.
        image: The scan.

    Returns:
        Lobes (uint8) on the scan's grid.
    """
    likely = shares.argmax(axis=0)
    kept = one_piece_each(likely, len(shares) - 1, grid.geometry.spacing_mm)
    inside = np.asarray(ndimage.binary_fill_holes(keep_largest(likely > 0, count=2)), dtype=bool)
    pieces = np.where(inside, kept, 0)
    cleaned = np.stack([np.where(pieces == likely, share, pieces == k) for k, share in enumerate(shares)])
    everywhere = image.with_voxels(np.ones(image.geometry.shape, np.uint8), "label")
    labels = np.zeros(image.geometry.shape, np.uint8)
    parts = {k: grid.with_voxels(share.astype(np.float32), "image") for k, share in enumerate(cleaned)}
    paint_largest(labels, everywhere, image.geometry.box, 1, parts)
    return image.with_voxels(labels, "label")


def one_piece_each(
    labels: Integer[np.ndarray, "z y x"], count: int, spacing_mm: Float3
) -> Integer[np.ndarray, "z y x"]:
    """Keep the largest piece of each label from 1 to `count`; other voxels take the nearest label (in mm)."""
    kept = np.zeros(labels.shape, labels.dtype)
    for label in range(1, count + 1):
        kept[keep_largest(labels == label)] = label
    empty: Bool[np.ndarray, "z y x"] = kept == 0
    if empty.all():
        return kept
    nearest = np.asarray(ndimage.distance_transform_edt(empty, spacing_mm, return_distances=False, return_indices=True))
    return kept[tuple(nearest)]


def paint_largest(labels: np.ndarray, field: Volume, box: Box, value: int, parts: dict[int, Volume]) -> None:
    """Write the label with the largest part into voxels whose field is `value`.

    Args:
        labels: Changed in place; on the scan's grid.
        field: On the same grid.
        box: Box to write into.
        value: The value of the field.
        parts: One map per label, on any grid, interpolated linearly.
    """
    names = np.array(list(parts), np.uint8)
    depth = max(1, SLAB_VOXELS // int(np.prod(box.shape[1:])))
    for start in range(box.start[0], box.stop[0], depth):
        slab = Box((start, *box.start[1:]), (min(start + depth, box.stop[0]), *box.stop[1:]))
        inside = field.voxels[slab.slices] == value
        if not inside.any():
            continue
        geometry = field.geometry.cropped(slab)
        best, winner = np.full(slab.shape, -np.inf, np.float32), np.zeros(slab.shape, np.uint8)
        for number, part in enumerate(parts.values()):
            share = resample_onto(part, geometry).voxels
            better = share > best
            np.copyto(best, share, where=better)
            winner[better] = number
        labels[slab.slices][inside] = names[winner[inside]]
