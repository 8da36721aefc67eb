"""Instances from the mask and contour probability maps of a network (Li et al. 2021, arXiv 2104.07961).

    labels = watershed(mask, contour)       # of the paper
    labels = grow_seeds(mask, contour)      # of the released code
    labels = mask_components(mask, 0.5)     # without the contour

Maps are probabilities in [0, 1], or in 8 bits from 0 to 255, which are compared with int(255 T) as in the released
code. They may lie on the disk: they are read in slabs, and the labels are equal to those of one pass. Components are
joined across slab borders. The flood of a watershed never leaves a component of the flooded mask, so each component
with several seeds is flooded alone, in its own box, and one with a single seed is that seed's as a whole. A flood by
scikit-image of the whole volume is the same, but for voxels that seeds of equal probability reach at the same time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed as flood

from weakmask.refinement.slab_components import SlabComponents
from weakmask.volume.geometry import Float3
from weakmask.volume.label_extents import LabelExtents
from weakmask.volume.label_pairs import Planes, label_pairs, slabs_of

SLAB_VOXELS = 1 << 24  # labelled at a time; about 25 bytes of memory each
LEAST_VOXELS = 128


def watershed(
    mask: Planes,
    contour: Planes,
    thresholds: Float3 = (0.9, 0.8, 0.85),
    least_voxels: float = LEAST_VOXELS,
    out: Any = None,
    slab_voxels: int = SLAB_VOXELS,
) -> Any:
    """Instances by a watershed from seeds inside the contours (Li et al. 2021, section 2.3).

    Seeds are the components (26 neighbours) of mask > T1 and contour < T2. They flood -mask inside mask > T3 across
    voxel faces. The paper prints contour > T2; its code has `<`, which is meant.

    Args:
        mask: Probability (z, y, x) of being inside an instance.
        contour: Probability (z, y, x) of lying on a border.
        thresholds: T1, T2 and T3.
        least_voxels: Smaller instances are dropped; see `voxels_of_nm3`.
        out: Where the labels go: an array of whole numbers that takes slices, as NumPy, memory maps, HDF5 and Zarr do;
            None makes a new one of uint32.
        slab_voxels: Voxels labelled at a time. Memory also holds the box of the largest component of mask > T3 that
            has several seeds, with about 40 bytes for each of its voxels.

    Returns:
        `out`: 1, 2, 3, ... in the order of the seeds' first voxels; 0 is background.

    Raises:
        ValueError: The maps have different shapes.
    """
    high, low, least = thresholds
    _check_maps(mask, contour)
    labels = _new(mask.shape) if out is None else out
    parts, seeds = SlabComponents(6), SlabComponents(26)

    def masks(slab: slice) -> tuple[np.ndarray, np.ndarray]:
        """Flooded mask and seeds of a slab."""
        values = np.asarray(mask[slab])
        return above(values, least), above(values, high) & below(np.asarray(contour[slab]), low)

    pairs = [np.zeros((0, 2), np.int64)]
    for slab in slabs_of(mask.shape, slab_voxels):
        inside, core = masks(slab)
        pairs.append(label_pairs(parts.add(inside), seeds.add(core))[0])
    part_of, seed_of = parts.finish(), seeds.finish()
    only, several = _seeds_of_parts(np.concatenate(pairs), part_of, seed_of)
    extents, sizes = LabelExtents(int(several.max(initial=0))), np.zeros(int(seed_of.max()) + 1, np.int64)
    for number, slab in enumerate(slabs_of(mask.shape, slab_voxels)):
        inside, core = masks(slab)
        part = part_of[parts.again(inside, number)]
        found, contested = only[part], several[part]
        sizes += np.bincount(found.reshape(-1), minlength=len(sizes))
        at = contested > 0
        if at.any():
            extents.add(contested, slab.start)
            found[at] = seed_of[seeds.again(core, number)[at]]
        labels[slab] = found
    for part in range(1, len(extents.voxels)):
        sizes += np.bincount(_flood_part(mask, labels, least, extents, part), minlength=len(sizes))
    _keep(labels, sizes, least_voxels, slab_voxels)
    return labels


def grow_seeds(
    mask: Planes,
    contour: Planes,
    thresholds: tuple[float, float] = (0.9, 0.8),
    pixels: int = 3,
    least_voxels: float = LEAST_VOXELS,
    out: Any = None,
    slab_voxels: int = SLAB_VOXELS,
) -> Any:
    """Instances by growing the seeds inside the contours, the decoder of the released code.

    Seeds are the components (6 neighbours) of mask > T1 and contour < T2. In each section they grow by some pixels,
    which undoes the contour's half-width: in each step a free pixel takes the largest label of its eight neighbours.

    Args:
        mask: As in `watershed`.
        contour: As in `watershed`.
        thresholds: T1 and T2.
        pixels: Steps of growth; 3 is the code's dilation by 1 x 7 x 7.
        least_voxels: Smaller instances are dropped, after the growth.
        out: As in `watershed`.
        slab_voxels: As in `watershed`.

    Returns:
        `out`: 1, 2, 3, ... in the order of the seeds' first voxels; 0 is background.

    Raises:
        ValueError: The maps have different shapes.
    """
    _check_maps(mask, contour)

    def core(slab: slice) -> np.ndarray:
        """Seeds of a slab."""
        return above(np.asarray(mask[slab]), thresholds[0]) & below(np.asarray(contour[slab]), thresholds[1])

    def grown(found: np.ndarray) -> np.ndarray:
        """Labels after all steps."""
        for _ in range(pixels):
            np.copyto(found, ndimage.maximum_filter(found, (1, 3, 3)), where=found == 0)
        return found

    labels = _new(mask.shape) if out is None else out
    return _components(core, labels, grown, least_voxels, slab_voxels)


def mask_components(
    mask: Planes,
    threshold: float = 0.5,
    least_voxels: float = LEAST_VOXELS,
    out: Any = None,
    slab_voxels: int = SLAB_VOXELS,
) -> Any:
    """Instances as the components (6 neighbours) of mask > T: touching ones are one.

    Args:
        mask: As in `watershed`.
        threshold: T.
        least_voxels: Smaller instances are dropped.
        out: As in `watershed`.
        slab_voxels: As in `watershed`.

    Returns:
        `out`: 1, 2, 3, ... in the order of their first voxels; 0 is background.
    """
    labels = _new(mask.shape) if out is None else out
    return _components(lambda slab: above(np.asarray(mask[slab]), threshold), labels, None, least_voxels, slab_voxels)


def above(values: np.ndarray, threshold: float) -> np.ndarray:
    """Where a map is above a threshold in [0, 1]; of 8 bits, where it is above int(255 T)."""
    return values > (int(255 * threshold) if values.dtype == np.uint8 else threshold)


def below(values: np.ndarray, threshold: float) -> np.ndarray:
    """Where a map is below a threshold in [0, 1]; of 8 bits, where it is below int(255 T)."""
    return values < (int(255 * threshold) if values.dtype == np.uint8 else threshold)


def voxels_of_nm3(volume_nm3: float, spacing_nm: Sequence[float]) -> float:
    """The number of voxels that a volume in nm^3 takes on a grid; 2.5e5 nm^3 are 130 voxels of 30 x 8 x 8 nm."""
    return volume_nm3 / float(np.prod(spacing_nm)) * (1 - 1e-9)  # a volume of 20 voxels reaches 20 despite rounding


def _components(
    inside: Callable[[slice], np.ndarray],
    labels: Any,
    change: Callable[[np.ndarray], np.ndarray] | None,
    least_voxels: float,
    slab_voxels: int,
) -> Any:
    """The components of a mask, each section changed afterwards, without small ones."""
    found, slabs = SlabComponents(6), list(slabs_of(labels.shape, slab_voxels))
    for slab in slabs:
        found.add(inside(slab))
    component_of = found.finish().astype(np.uint32)
    sizes = np.zeros(int(component_of.max()) + 1, np.int64)
    for number, slab in enumerate(slabs):
        part = component_of[found.again(inside(slab), number)]
        part = part if change is None else change(part)
        sizes += np.bincount(part.reshape(-1), minlength=len(sizes))
        labels[slab] = part
    _keep(labels, sizes, least_voxels, slab_voxels)
    return labels


def _seeds_of_parts(pairs: np.ndarray, part_of: np.ndarray, seed_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every component of the flooded mask: its seed if it has one alone, and its number if it has several.

    Args:
        pairs: Provisional labels of components and seeds that share voxels, with those of 0.
        part_of: Component of each provisional label.
        seed_of: Seed of each provisional label.
    """
    met = pairs[(pairs != 0).all(axis=1)]
    met = np.unique(np.stack([part_of[met[:, 0]], seed_of[met[:, 1]]], axis=1), axis=0)
    seeds = np.bincount(met[:, 0], minlength=int(part_of.max()) + 1)
    only = np.zeros(len(seeds), np.uint32)
    only[met[:, 0]] = met[:, 1]
    only[seeds > 1] = 0
    return only, np.cumsum(seeds > 1) * (seeds > 1)


def _flood_part(mask: Planes, labels: Any, threshold: float, extents: LabelExtents, part: int) -> np.ndarray:
    """Flood one component of the flooded mask from the seeds in it; returns the labels of its voxels."""
    box = extents.box(part)
    values = np.asarray(mask[box.slices])
    pieces = SlabComponents(6).add(above(values, threshold))
    first = tuple(a - b for a, b in zip(extents.first[part].tolist(), box.start, strict=True))
    own = pieces == pieces[first]
    whole = np.asarray(labels[box.slices])
    depth = values.max() - values  # -mask in a type without sign
    found = flood(depth, np.where(own, whole, 0).astype(np.int64), mask=own)[own]
    whole[own] = found
    labels[box.slices] = whole
    return found


def _keep(labels: Any, sizes: np.ndarray, least_voxels: float, slab_voxels: int) -> None:
    """Drop small instances and number the others without gaps, in place."""
    kept = sizes >= max(least_voxels, 1)
    kept[0] = False
    if kept[1:].all():
        return
    number = (np.cumsum(kept) * kept).astype(np.uint32)
    for slab in slabs_of(labels.shape, slab_voxels):
        labels[slab] = number[np.asarray(labels[slab])]


def _check_maps(mask: Planes, contour: Planes) -> None:
    if tuple(mask.shape) != tuple(contour.shape):
        raise ValueError(f"mask and contour have shapes {tuple(mask.shape)} and {tuple(contour.shape)}; expected one")


def _new(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.uint32)
