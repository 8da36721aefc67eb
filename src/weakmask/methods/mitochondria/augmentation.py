"""Augmented patches: faults of the acquisition on a larger cut, then moves within sections, then the patch and flips.

The order is that of the authors' code, from the last row of the paper's table to the first.
"""

import math

import numpy as np
from jaxtyping import Float32, Integer, UInt8

from weakmask.datasets.section_faults import (
    cut_blurred,
    cut_noisy,
    grey_changed,
    misaligned,
    missing_part,
    missing_sections,
    motion_blurred,
)
from weakmask.datasets.section_moves import bent, extent, flipped, looked_up, plane_map, rescaled, rotated
from weakmask.methods.mitochondria.config import AugmentationSettings
from weakmask.volume.geometry import Index3

REMOVED = 2  # sections that are missing
SCALES = (0.8, 1.2)

Image = Float32[np.ndarray, "z y x"]
Labels = Integer[np.ndarray, "z y x"]


def patch_of(
    image: UInt8[np.ndarray, "depth rows columns"],
    labels: Integer[np.ndarray, "depth rows columns"],
    centre: Index3,
    shape: Index3,
    settings: AugmentationSettings,
    rng: np.random.Generator,
) -> tuple[Image, Labels]:
    """An augmented patch around a voxel: grey values in [0, 1] and instances.

    Args:
        image: A stack.
        labels: Its instances.
        centre: The middle of the patch; what lies beyond the stack is mirrored.
        shape: Of the patch.
        settings: The changes.
        rng: Source of all draws.
    """
    depth, rows, columns = shape
    offsets = plane_map((rows, columns))
    if rng.random() < settings.rotate:
        offsets = rotated(offsets, rng.uniform(0, 2 * math.pi))
    if rng.random() < settings.rescale:
        y, x = rng.uniform(*SCALES, 2)
        offsets = rescaled(offsets, (float(y), float(x)))
    if rng.random() < settings.bend:
        offsets = bent(offsets, rng)
    less = rng.random() < settings.missing_section and depth > 2
    reach_y, reach_x = (reach + 1 for reach in extent(offsets))
    cut_shape = (depth + REMOVED * less, 2 * reach_y, 2 * reach_x)
    grey, found = (mirrored_cut(one, centre, cut_shape) for one in (image, labels))
    grey = grey.astype(np.float32) / np.float32(255)
    grey = _in_sections(grey, settings, rng)
    if rng.random() < settings.misaligned and depth > 2:
        grey, found = misaligned(grey, found, rng, settings.shift_pixels)
    if less:
        grey, found = missing_sections(grey, found, rng, REMOVED)
    if rng.random() < settings.missing_part:
        grey = missing_part(grey, rng, settings.band_pixels)
    if rng.random() < settings.grey:
        grey = grey_changed(grey, rng, settings.grey_range)
    grey, found = looked_up(grey, offsets), looked_up(found, offsets)
    return flipped(grey, found, rng) if settings.flip else (grey, found)


def plain_patch(
    image: UInt8[np.ndarray, "depth rows columns"],
    labels: Integer[np.ndarray, "depth rows columns"],
    centre: Index3,
    shape: Index3,
) -> tuple[Image, Labels]:
    """The patch around a voxel as it is."""
    return mirrored_cut(image, centre, shape).astype(np.float32) / np.float32(255), mirrored_cut(labels, centre, shape)


def mirrored_cut(voxels: np.ndarray, centre: Index3, shape: Index3) -> np.ndarray:
    """The voxels around a centre, mirrored beyond the faces of the stack."""
    places = [_line(middle - side // 2, side, n) for middle, side, n in zip(centre, shape, voxels.shape, strict=True)]
    return voxels[np.ix_(*places)]


def _line(start: int, side: int, n: int) -> np.ndarray:
    """Indices along one axis."""
    place = np.arange(start, start + side)
    if n == 1:
        return np.zeros_like(place)
    folded = np.abs(place) % (2 * n - 2)
    return np.minimum(folded, 2 * n - 2 - folded)


def _in_sections(grey: Image, settings: AugmentationSettings, rng: np.random.Generator) -> Image:
    """Noise and blur."""
    if rng.random() < settings.cut_noise:
        grey = cut_noisy(grey, rng)
    if rng.random() < settings.cut_blur:
        grey = cut_blurred(grey, rng)
    if rng.random() < settings.motion_blur:
        grey = motion_blurred(grey, rng)
    return grey
