"""Morphology of masks: components, holes, distances in mm, closing, dilation and erosion."""

import numpy as np
from jaxtyping import Bool, Float32, Integer
from scipy import ndimage

from weakmask.volume.geometry import Box, Float3, Index3

Mask = Bool[np.ndarray, "z y x"]
Labels = Integer[np.ndarray, "z y x"]

FACES = ndimage.generate_binary_structure(3, 1)  # neighbours across faces
EDGES = ndimage.generate_binary_structure(3, 2)  # and across edges
CORNERS = ndimage.generate_binary_structure(3, 3)  # and across corners


def components(mask: Mask) -> tuple[Labels, int]:
    """Label the components of a mask (connected across faces, background 0) and count them."""
    return _numbered(mask, FACES)


def label_slices(mask: Mask, axis: int = 0) -> tuple[Labels, int]:
    """Label the components of every slice across `axis` separately, and count them."""
    neighbours = FACES.copy()
    for side in (0, 2):
        neighbours[(slice(None),) * axis + (side,)] = False
    return _numbered(mask, neighbours)


def open_to_side(mask: Mask, axis: int = 0) -> Mask:
    """The components of every slice across `axis` that touch the slice's edge."""
    labels, count = label_slices(mask, axis)
    touching = np.zeros(count + 1, dtype=bool)
    for other in {0, 1, 2} - {axis}:
        for side in (0, -1):
            touching[np.take(labels, side, axis=other)] = True
    touching[0] = False
    return touching[labels]


def enclosed(mask: Mask) -> Mask:
    """The gaps that the mask encloses in slices across at least two of the three axes.

    A vessel or a nodule inside a lung is enclosed across any two axes; the dome of the diaphragm only in axial slices
    and the heart in none, so both are left out. In a single slice, that slice decides.
    """
    gaps = ~mask
    votes = np.zeros(mask.shape, dtype=np.uint8)
    for axis in range(3):
        votes += gaps & ~open_to_side(gaps, axis)
    return votes >= (1 if min(mask.shape) == 1 else 2)


def distance_mm(mask: Mask, spacing_mm: Float3) -> Float32[np.ndarray, "z y x"]:
    """Distance of every voxel of the mask to the nearest voxel outside it, in mm; infinite if the mask is full."""
    if mask.all():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(mask, spacing_mm), dtype=np.float32)


def closed(mask: Mask, radius_mm: float, spacing_mm: Float3) -> Mask:
    """Closing with a ball; the grid is padded so that its edge has no effect."""
    margin = [n + 1 for n in margin_voxels(radius_mm, spacing_mm)]
    reached = distance_mm(~np.pad(mask, [(m, m) for m in margin]), spacing_mm) <= radius_mm
    z, y, x = (slice(m, -m) for m in margin)
    return (distance_mm(reached, spacing_mm) > radius_mm)[z, y, x]


def rim(mask: Mask) -> Mask:
    """The voxels of the mask that have a face toward the outside; the grid's edge does not count as outside."""
    return mask & ~worn(mask)


def grown(mask: Mask, neighbours: np.ndarray = FACES, steps: int = 1, within: Mask | None = None) -> Mask:
    """Dilate the mask by `steps` steps inside `within`."""
    return np.asarray(ndimage.binary_dilation(mask, neighbours, iterations=steps, mask=within), dtype=bool)


def worn(mask: Mask, neighbours: np.ndarray = FACES, steps: int = 1) -> Mask:
    """Erode the mask by `steps` steps; the grid's edge does not count as outside."""
    return np.asarray(ndimage.binary_erosion(mask, neighbours, iterations=steps, border_value=1), dtype=bool)


def object_boxes(labels: Labels) -> list[tuple[int, Box]]:
    """The labels above 0 that occur, each with its bounding box, found in one pass."""
    boxes = []
    for label, spans in enumerate(ndimage.find_objects(labels), start=1):
        if spans is not None:
            z, y, x = spans
            boxes.append((label, Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))))
    return boxes


def margin_voxels(margin_mm: float, spacing_mm: Float3) -> Index3:
    """A margin in voxels along each axis, rounded up."""
    z, y, x = (int(np.ceil(margin_mm / s - 1e-6)) for s in spacing_mm)
    return z, y, x


def _numbered(mask: Mask, neighbours: np.ndarray) -> tuple[Labels, int]:
    """`scipy.ndimage.label` with a correct type annotation."""
    labels = np.empty(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, neighbours, output=labels)
    return labels, int(np.asarray(count))
