"""Completion of a thresholded lung by vessels, hilum and consolidations at the chest wall."""

import itertools

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage
from scipy.spatial import ConvexHull

from weakmask.volume.geometry import Float3
from weakmask.volume.morphology import Mask, closed, enclosed, rim

CLOSING_MM = 12.0  # bridges vessels and bays; smaller than the bend of the heart and of the diaphragm's dome
DIRECTIONS = 120  # around the lung, 3 degrees each
FACING_RIBS_DEGREES = (-65.0, 100.0)  # from lateral (0) toward the front (-) and the back (+)
DENT_MM = 4.0  # shallower dents are normal
DEEP_MM = 6.0  # the hull of deeper dents may not reach the chest wall
SHORT_MM = 15.0  # largest distance from that hull to the chest wall
RIB_STEP_MM = 30.0  # from rib to rib along the body
BONE_HU = 250.0
FAT_HU = (-130.0, -60.0)


def cover_lesions(hu: Float32[np.ndarray, "z y x"], lung: Mask, spacing_mm: Float3, toward_midline: int) -> Mask:
    """Complete one lung by its vessels and by consolidations inside it or between it and the ribs.

    Gaps are closed up to a radius, holes are filled, and dents in the outline that faces the ribs are filled. A
    consolidation of a whole lung down to the diaphragm is not found, since no air is left beside it.

    Args:
        hu: The scan around the lung, axes toward head, back and left; with the ribs.
        lung: Aerated lung of one side.
        spacing_mm: Voxel spacing (z, y, x).
        toward_midline: +1 or -1, the direction of the other lung along x.
    """
    covered = closed(lung, CLOSING_MM, spacing_mm)
    covered |= enclosed(covered)
    dents = _dents(hu, covered, spacing_mm, toward_midline)
    if dents.any():
        covered = closed(covered | dents, CLOSING_MM, spacing_mm)
    return covered | enclosed(covered)


def _dents(hu: np.ndarray, lung: Mask, spacing_mm: Float3, toward_midline: int) -> Mask:
    """Tissue between the lung and the chest wall, inside the lung's convex hull.

    The chest wall is convex and the lung fills it, so a dent in the outline that faces the ribs is lesion. The outline
    is the farthest lung voxel in each direction around an upright axis through the lung's centre. Directions without
    lung are left out, because below the lung the liver faces the ribs too. The hull of a large dent is a chord and does
    not reach the wall; the ribs then give the extent of the lung.
    """
    radius, bins, facing_ribs = _around(lung, spacing_mm, toward_midline)
    outline = _farthest(lung, radius, bins)
    beyond = facing_ribs & (outline > 0)[:, bins] & (radius > outline[:, bins])
    dent = beyond.copy()
    dent[dent] = _inside_hull(lung, np.argwhere(dent))
    level = _farthest(dent, radius, bins)
    level = np.where(level > outline + DENT_MM, level, outline)
    ribs = _nearest_rib(hu, beyond, radius, bins, spacing_mm[0])
    healthy = np.isfinite(ribs) & (outline > 0) & (level == outline)
    wall_mm = float(np.median(ribs[healthy] - outline[healthy])) if healthy.any() else 0.0
    short = np.where(np.isfinite(ribs), np.clip(ribs - wall_mm - level, 0.0, SHORT_MM), 0.0)
    reach = int(RIB_STEP_MM / 2 / spacing_mm[0]) | 1, 5
    deep = ndimage.maximum_filter(level > outline + DEEP_MM, reach)
    level += ndimage.convolve(np.where(deep, short, 0.0), np.full(reach, 1 / np.prod(reach)))
    return beyond & (radius <= level[:, bins]) & ~((hu > FAT_HU[0]) & (hu < FAT_HU[1]))


def _around(lung: Mask, spacing_mm: Float3, toward_midline: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel of an axial slice: distance from the lung's axis in mm, direction index, whether it faces ribs."""
    _, y, x = np.nonzero(lung)
    dy = (np.arange(lung.shape[1]) - np.median(y))[:, None] * spacing_mm[1]
    dx = (np.arange(lung.shape[2]) - np.median(x))[None, :] * spacing_mm[2]
    degrees = np.degrees(np.arctan2(dy, -toward_midline * dx))
    bins = np.clip(((degrees + 180) * DIRECTIONS / 360).astype(int), 0, DIRECTIONS - 1)
    front, back = FACING_RIBS_DEGREES
    return np.hypot(dy, dx), bins, (degrees > front) & (degrees < back)


def _farthest(mask: Mask, radius: np.ndarray, bins: np.ndarray) -> Float[np.ndarray, "z directions"]:
    """Largest radius of the mask in each slice and direction; 0 in empty directions."""
    z, y, x = np.nonzero(mask)
    farthest = np.zeros((mask.shape[0], DIRECTIONS))
    np.maximum.at(farthest, (z, bins[y, x]), radius[y, x])
    return farthest


def _nearest_rib(
    hu: np.ndarray, beyond: Mask, radius: np.ndarray, bins: np.ndarray, step_mm: float
) -> Float[np.ndarray, "z directions"]:
    """Radius of the ribs' inner side in each slice and direction, continued over gaps between ribs; else infinite."""
    z, y, x = np.nonzero(beyond & (hu > BONE_HU))
    nearest = np.full((hu.shape[0], DIRECTIONS), np.inf)
    np.minimum.at(nearest, (z, bins[y, x]), radius[y, x])
    return ndimage.minimum_filter(nearest, (int(RIB_STEP_MM / step_mm) | 1, 5), mode="nearest")


def _inside_hull(lung: Mask, points: np.ndarray) -> np.ndarray:
    """Whether voxels, given by index (points, 3), lie in the convex hull of the lung's voxel centres."""
    surface = np.argwhere(rim(lung)).astype(float)
    cubes = np.concatenate([surface + corner for corner in itertools.product((-0.5, 0.5), repeat=3)])
    planes = ConvexHull(cubes).equations  # of whole voxels, so that a single slice has a hull
    planes[:, 3] += 0.5 * np.abs(planes[:, :3]).sum(axis=1)  # moved back to the voxel centres
    planes = np.random.default_rng(0).permutation(planes)  # shuffled, so that the first planes exclude most points
    left = np.arange(len(points))
    for start in range(0, len(planes), 32):
        some = planes[start : start + 32]
        left = left[(points[left] @ some[:, :3].T + some[:, 3] <= 1e-9).all(axis=1)]
    inside = np.zeros(len(points), dtype=bool)
    inside[left] = True
    return inside
