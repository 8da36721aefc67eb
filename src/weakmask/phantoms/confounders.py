"""Confounders, which resemble lesions: dependent atelectasis, emphysema, scars, nodules, pleural fat, heart motion.

Each changes the tissue of the lungs (HU, before the acquisition) and not the truth.
"""

import numpy as np

from weakmask.phantoms.chest_anatomy import Lungs, Patient, heart_mm
from weakmask.phantoms.noise import Grid, coverage, smooth_field, stream
from weakmask.phantoms.tissue import blend
from weakmask.phantoms.tubes import draw_capsules


def add_confounders(patient: Patient, grid: Grid, chest: Lungs, tissue: np.ndarray) -> None:
    """Add this patient's confounders to lung tissue, in place."""
    rng = stream(patient.seed, "confounders")
    dependent_atelectasis(patient, grid, chest, tissue, float(rng.gamma(1.6, 85.0)))
    if rng.random() < 0.3:
        emphysema(patient, grid, tissue, float(rng.uniform(1.1, 2.2)))
    scars(patient, grid, chest, tissue, int(rng.poisson(2.2)))
    nodules(patient, grid, chest, tissue, int(rng.poisson(2.0)))
    pleural_fat(patient, grid, chest, tissue, float(rng.uniform(0.0, 2.2)))


def dependent_atelectasis(patient: Patient, grid: Grid, chest: Lungs, tissue: np.ndarray, strength_hu: float) -> None:
    """Add a hazy crescent along the back wall, where lung collapses under its weight; stronger at expiration."""
    patches = 0.6 + 0.5 * smooth_field(patient.seed, "dependent", Grid(grid.z, grid.y[:, :1] * 0, grid.x), 35.0)
    width = np.float32(7.0 + 9.0 * (1 - patient.inspiration)) * np.maximum(patches, 0.1)
    near = np.exp(-np.maximum(chest.wall_mm, 0) / width) * np.square(np.clip(chest.backward, 0, 1))
    amount = np.minimum(near * np.float32(strength_hu) * (1.6 - patient.inspiration), 520)
    tissue += amount * np.maximum(patches, 0)


def emphysema(patient: Patient, grid: Grid, tissue: np.ndarray, rarity: float) -> None:
    """Add holes of air a few millimetres wide, more of them toward the top."""
    holes = smooth_field(patient.seed, "holes", grid, 9.0) + np.float32(0.5) * grid.z / np.float32(100)
    blend(tissue, -985.0, coverage((holes - np.float32(rarity)) * 3, 3.0) * np.float32(0.75))


def _places(grid: Grid, chest: Lungs, rng: np.random.Generator, count: int, deepest_mm: float) -> np.ndarray:
    """World points in the lungs, at most `deepest_mm` under the chest wall.

    Candidates are drawn in world coordinates, so the same patient has the same scars at any spacing.
    """
    axes = grid.axes
    candidates = rng.uniform(-130, 130, (400, 3)) * np.array([0.9, 0.75, 1.0])
    index = np.stack([np.abs(axis[None] - candidates[:, k, None]).argmin(axis=1) for k, axis in enumerate(axes)])
    depth = np.where(chest.lobes[tuple(index)] > 0, chest.wall_mm[tuple(index)], -1)
    good = np.flatnonzero((depth > 1) & (depth < deepest_mm))
    return candidates[good[:count]]


def scars(patient: Patient, grid: Grid, chest: Lungs, tissue: np.ndarray, count: int) -> None:
    """Add linear bands (scars, plate-like atelectasis) near the pleura, mostly in the lower zones, as bent ribbons."""
    rng = stream(patient.seed, "scars")
    places = _places(grid, chest, rng, count, 25.0)
    start, stop, radius = [], [], []
    for place in places:
        along = rng.normal(size=3) * np.array([0.4, 1.0, 1.0])
        along *= rng.uniform(10, 32) / np.linalg.norm(along)
        across = np.cross(along, rng.normal(size=3))
        across *= rng.uniform(2, 9) / np.linalg.norm(across)
        bow = rng.normal(0, 3, 3)
        for step in np.linspace(-1, 1, 7):  # side by side, tubes make a ribbon
            middle = place + step * across + bow
            start += [place + step * across - 0.5 * along, middle]
            stop += [middle, place + step * across + 0.5 * along]
            radius += [[rng.uniform(0.5, 1.3)] * 2] * 2
    if start:
        ribbons = draw_capsules(grid, np.array(start), np.array(stop), np.array(radius))
        blend(tissue, rng.uniform(-250, 0), ribbons)


def nodules(patient: Patient, grid: Grid, chest: Lungs, tissue: np.ndarray, count: int) -> None:
    """Add small solid nodules of 3 to 9 mm diameter."""
    rng = stream(patient.seed, "nodules")
    places = _places(grid, chest, rng, count, 60.0)
    if len(places):
        radius = rng.uniform(1.5, 4.5, (len(places), 1)) * np.ones((1, 2))
        blend(tissue, rng.uniform(-60, 90), draw_capsules(grid, places, places, radius))


def pleural_fat(patient: Patient, grid: Grid, chest: Lungs, tissue: np.ndarray, thickest_mm: float) -> None:
    """Add fat and thickened pleura that reach slightly into the lung mask along the chest wall."""
    lumps = smooth_field(patient.seed, "pleural fat", grid, 20.0)
    thick = np.float32(thickest_mm) * np.maximum(lumps - np.float32(0.3), 0)
    voxel = float(np.cbrt(np.prod(grid.spacing_mm)))
    blend(tissue, -90.0, coverage(thick - np.maximum(chest.wall_mm, 0), voxel) * (thick > 0))


def heart_motion(patient: Patient, grid: Grid, image: np.ndarray) -> None:
    """Blur the border of the heart and the lung next to it as cardiac motion does, in place."""
    rng = stream(patient.seed, "motion")
    reach, shift = rng.uniform(3, 9), rng.uniform(1.5, 5.0)
    near = np.float32(0.85) * np.exp(-np.square(heart_mm(patient, grid) / np.float32(reach)))
    moved = np.zeros_like(image)
    for axis, spacing in ((1, grid.spacing_mm[1]), (2, grid.spacing_mm[2])):
        steps = max(1, round(shift / spacing))
        moved += np.float32(0.25) * (np.roll(image, steps, axis) + np.roll(image, -steps, axis))
    blend(image, moved, near)
