"""Clean a mask by its components: small ones out, the largest ones only, holes filled.

    from weakmask.refinement import drop_small, fill_holes, keep_largest
    lesions = fill_holes(drop_small(lesions, 50.0, scan.geometry.spacing_mm))   # at least 50 mm^3 each

Labels are made inside the mask's box only and looked up slab by slab: a mask that fills a scan costs about five bytes a
voxel on top of itself.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import cc3d
import numpy as np
from jaxtyping import Bool, Integer, UInt

from weakmask.volume.geometry import Float3
from weakmask.volume.morphology import Mask, object_boxes, open_to_side

Neighbours = Literal[6, 18, 26]  # across faces, also edges, also corners
Sizes = Integer[np.ndarray, " components"]
_SLAB = 2**22  # voxels looked up at once


def drop_small(mask: Mask, least_mm3: float, spacing_mm: Float3 = (1.0, 1.0, 1.0), neighbours: Neighbours = 6) -> Mask:
    """The components of at least this size.

    Args:
        mask: Any.
        least_mm3: In mm^3; in voxels where no spacing is given. 0 keeps all.
        spacing_mm: Of the grid.
        neighbours: Voxels that touch belong together: across faces (6), edges (18) or corners (26).

    Returns:
        A new mask.
    """
    # a volume of 20 voxels is reached by 20 voxels, whatever the product's rounding says
    least = least_mm3 / float(np.prod(spacing_mm)) * (1 - 1e-9)
    return _components_where(mask, lambda counts: counts >= least, neighbours)


def keep_largest(mask: Mask, count: int = 1, neighbours: Neighbours = 6) -> Mask:
    """The largest components, at most `count`; of two as large the one whose first voxel comes first in the array.

    Args:
        mask: Any; a mask with no more than `count` components comes back as it is.
        count: At least 0.
        neighbours: As in `drop_small`.

    Returns:
        A new mask.
    """

    def largest(counts: Sizes) -> Bool[np.ndarray, " components"]:
        kept = np.zeros(counts.shape, dtype=bool)
        kept[np.argsort(-counts, kind="stable")[:count]] = True
        return kept

    return _components_where(mask, largest, neighbours)


def fill_holes(mask: Mask, most_mm3: float = np.inf, spacing_mm: Float3 = (1.0, 1.0, 1.0)) -> Mask:
    """The mask with its holes: what it surrounds on all sides, faces counting as ways out.

    The grid's edge is a way out too, except across an axis of one voxel: in a single slice the slice decides.

    Args:
        mask: Any.
        most_mm3: Larger holes stay; in voxels where no spacing is given.
        spacing_mm: Of the grid.

    Returns:
        A new mask.
    """
    filled = mask.copy()
    most = most_mm3 / float(np.prod(spacing_mm)) * (1 + 1e-9)
    for _, box in object_boxes(mask.view(np.int8)):
        inside = filled[box.slices]
        labels, sizes = _labelled(~inside, 6)
        hole = sizes <= most
        hole[0] = False
        for axis in range(3):
            if mask.shape[axis] > 1:  # a gap that reaches the box's side goes on outside or leaves the grid
                for side in (0, -1):
                    hole[np.take(labels, side, axis=axis)] = False
        for slab in _slabs(labels):
            inside[slab] |= hole[labels[slab]]
    return filled


def fill_holes_in_slices(mask: Mask, axis: int = 0) -> Mask:
    """The mask with the holes of each slice across `axis`, each slice for itself.

    Args:
        mask: Any.
        axis: 0 takes the slices as they were scanned.

    Returns:
        A new mask.
    """
    filled = mask.copy()
    for index in range(mask.shape[axis]):
        at = (slice(None),) * axis + (slice(index, index + 1),)
        if filled[at].any():
            gaps = ~filled[at]
            filled[at] |= gaps & ~open_to_side(gaps, axis)
    return filled


def _components_where(
    mask: Mask, wanted: Callable[[Sizes], Bool[np.ndarray, " components"]], neighbours: Neighbours
) -> Mask:
    """The components whose sizes in voxels are wanted."""
    kept = np.zeros(mask.shape, dtype=bool)
    for _, box in object_boxes(mask.view(np.int8)):
        labels, sizes = _labelled(mask[box.slices], neighbours)
        keep = np.concatenate([[False], wanted(sizes[1:])])
        into = kept[box.slices]
        for slab in _slabs(labels):
            into[slab] = keep[labels[slab]]
    return kept


def _labelled(mask: Mask, neighbours: Neighbours) -> tuple[UInt[np.ndarray, "z y x"], Integer[np.ndarray, " labels"]]:
    """Components numbered from 1 and the voxels of each number; 0 is the rest."""
    labels, count = cc3d.connected_components(mask, connectivity=neighbours, return_N=True, binary_image=True)
    sizes = np.zeros(count + 1, dtype=np.int64)
    for slab in _slabs(labels):
        sizes += np.bincount(labels[slab].ravel(), minlength=count + 1)
    return labels, sizes


def _slabs(voxels: np.ndarray) -> Iterator[slice]:
    depth = max(1, _SLAB // max(1, voxels[:1].size))
    return (slice(start, start + depth) for start in range(0, len(voxels), depth))
