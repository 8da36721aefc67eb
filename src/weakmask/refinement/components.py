"""Connected components of a mask: drop small ones, keep the largest, fill holes.

    from weakmask.refinement import drop_small, fill_holes, keep_largest
    lesions = fill_holes(drop_small(lesions, 50.0, scan.geometry.spacing_mm))   # at least 50 mm^3 each

A mask is an array (z, y, x) of bool, or of whole numbers that are 0 outside. A function that gets another type or
number of axes raises a TypeError or ValueError that says how to convert it.

Components are labelled inside the mask's bounding box and processed slab by slab: a mask that fills a scan needs about
five bytes per voxel of additional memory.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import cc3d
import numpy as np
from jaxtyping import Bool, Integer, UInt

from weakmask.refinement.input_checks import as_mask
from weakmask.volume.geometry import Float3
from weakmask.volume.morphology import Labels, Mask, object_boxes, open_to_side

Neighbours = Literal[6, 18, 26]  # across faces, also edges, also corners
Sizes = Integer[np.ndarray, " components"]
_SLAB = 2**22  # voxels looked up at once


def drop_small(
    mask: Mask | Labels, least_mm3: float, spacing_mm: Float3 = (1.0, 1.0, 1.0), neighbours: Neighbours = 6
) -> Mask:
    """Remove the components smaller than `least_mm3`.

    Args:
        mask: Any mask.
        least_mm3: In mm^3; in voxels if no spacing is given. 0 keeps all.
        spacing_mm: Of the grid.
        neighbours: Connectivity of voxels: across faces (6), also edges (18), also corners (26).

    Returns:
        A new mask.
    """
    # 20 voxels reach a volume of 20 voxels in spite of rounding
    least = least_mm3 / float(np.prod(spacing_mm)) * (1 - 1e-9)
    return _components_where(mask, lambda counts: counts >= least, neighbours)


def keep_largest(mask: Mask | Labels, count: int = 1, neighbours: Neighbours = 6) -> Mask:
    """Keep the largest components, at most `count`; of two equal ones the one whose first voxel comes first.

    Args:
        mask: Any mask; with at most `count` components it is returned unchanged.
        count: At least 0.
        neighbours: As in `drop_small`.

    Returns:
        A new mask.
    """

    def largest(counts: Sizes) -> Bool[np.ndarray, " components"]:
        """Which components are among the largest."""
        kept = np.zeros(counts.shape, dtype=bool)
        kept[np.argsort(-counts, kind="stable")[:count]] = True
        return kept

    return _components_where(mask, largest, neighbours)


def fill_holes(mask: Mask | Labels, most_mm3: float = np.inf, spacing_mm: Float3 = (1.0, 1.0, 1.0)) -> Mask:
    """Fill the holes of a mask: background that no path across voxel faces connects to the grid's edge.

    An axis of one voxel has no edge, so holes in a single slice are two-dimensional.

    Args:
        mask: Any mask.
        most_mm3: Larger holes are not filled; in voxels if no spacing is given.
        spacing_mm: Of the grid.

    Returns:
        A new mask.
    """
    mask = as_mask("mask", mask)
    filled = mask.copy()
    most = most_mm3 / float(np.prod(spacing_mm)) * (1 + 1e-9)
    for _, box in object_boxes(mask.view(np.int8)):
        inside = filled[box.slices]
        labels, sizes = _labelled(~inside, 6)
        hole = sizes <= most
        hole[0] = False
        for axis in range(3):
            if mask.shape[axis] > 1:  # a gap at the side of the box is not enclosed
                for side in (0, -1):
                    hole[np.take(labels, side, axis=axis)] = False
        for slab in _slabs(labels):
            inside[slab] |= hole[labels[slab]]
    return filled


def fill_holes_in_slices(mask: Mask | Labels, axis: int = 0) -> Mask:
    """Fill the holes of each slice across `axis` separately.

    Args:
        mask: Any mask.
        axis: Axis across the slices; 0 for axial slices.

    Returns:
        A new mask.
    """
    mask = as_mask("mask", mask)
    filled = mask.copy()
    for index in range(mask.shape[axis]):
        at = (slice(None),) * axis + (slice(index, index + 1),)
        if filled[at].any():
            gaps = ~filled[at]
            filled[at] |= gaps & ~open_to_side(gaps, axis)
    return filled


def _components_where(
    mask: Mask | Labels, keeps: Callable[[Sizes], Bool[np.ndarray, " components"]], neighbours: Neighbours
) -> Mask:
    """The components that `keeps` selects by their sizes in voxels."""
    mask = as_mask("mask", mask)
    kept = np.zeros(mask.shape, dtype=bool)
    for _, box in object_boxes(mask.view(np.int8)):
        labels, sizes = _labelled(mask[box.slices], neighbours)
        keep = np.concatenate([[False], keeps(sizes[1:])])
        into = kept[box.slices]
        for slab in _slabs(labels):
            into[slab] = keep[labels[slab]]
    return kept


def _labelled(mask: Mask, neighbours: Neighbours) -> tuple[UInt[np.ndarray, "z y x"], Integer[np.ndarray, " labels"]]:
    """Components numbered from 1, with 0 for the background, and the number of voxels of each label."""
    labels, count = cc3d.connected_components(mask, connectivity=neighbours, return_N=True, binary_image=True)
    sizes = np.zeros(count + 1, dtype=np.int64)
    for slab in _slabs(labels):
        sizes += np.bincount(labels[slab].ravel(), minlength=count + 1)
    return labels, sizes


def _slabs(voxels: np.ndarray) -> Iterator[slice]:
    depth = max(1, _SLAB // max(1, voxels[:1].size))
    return (slice(start, start + depth) for start in range(0, len(voxels), depth))
