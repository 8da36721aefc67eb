"""Hounsfield units of a healthy chest: skin, fat, muscle, bones, heart, liver, and lung tissue."""

import numpy as np

from weakmask.phantoms.chest_anatomy import (
    LEFT,
    RIGHT,
    Lungs,
    Patient,
    diaphragm,
    ellipsoid,
    heart_mm,
    mediastinum,
    spine_y,
)
from weakmask.phantoms.noise import Grid, coverage, smooth_field, stream
from weakmask.volume.geometry import Box

AIR, FAT, MUSCLE, BLOOD, LIVER, MARROW, BONE, CARTILAGE = -1000.0, -100.0, 45.0, 42.0, 58.0, 230.0, 620.0, 95.0
RIB_EVERY_MM = 25.0


def paint_body(patient: Patient, grid: Grid, box: Box, chest: Lungs) -> np.ndarray:
    """Paint the body except the inside of the lungs, in HU (float32).

    Args:
        patient: The patient.
        grid: The whole scan.
        box: The part of the scan that `chest` covers.
        chest: The lungs on this part.
    """
    voxel = _voxel_mm(grid)
    skin = _skin_mm(patient, grid)
    uneven = smooth_field(patient.seed, "fat", Grid(grid.z[:1] * 0, grid.y, grid.x), 40.0)
    image = np.full(grid.shape, AIR, np.float32)
    blend(image, FAT, coverage(skin, voxel))
    blend(image, MUSCLE, coverage(skin - np.float32(patient.fat_mm) * (1 + np.float32(0.25) * uneven), 5 * voxel))
    paint_table(patient, grid, image)
    inner = image[box.slices]
    part = grid.cropped(box)
    paint_organs(patient, part, inner, chest)
    paint_bones(patient, part, inner, chest)
    paint_spine(patient, grid, image)
    return image


def blend(image: np.ndarray, value: float | np.ndarray, share: np.ndarray) -> None:
    """Replace a share of each voxel by another tissue, in place."""
    image += share * (np.asarray(value, np.float32) - image)


def _voxel_mm(grid: Grid) -> float:
    return float(np.cbrt(np.prod(grid.spacing_mm)))


def _skin_mm(patient: Patient, grid: Grid) -> np.ndarray:
    """Depth under the skin, a rounded box that widens toward the shoulders (arms up), mm."""
    s = patient.size
    shoulder = np.clip((grid.z - 40 * s) / (90 * s), 0, 1.3) ** 2
    half_x = (patient.fat_mm + 158 * s * patient.wide + 10 * shoulder).astype(np.float32)
    half_y = (patient.fat_mm + 112 * s * patient.deep - 16 * shoulder).astype(np.float32)
    v, u = (grid.y - np.float32(8 * s)) / half_y, grid.x / half_x
    uu, vv = u * u, v * v
    square = uu + vv - np.float32(0.45) * np.minimum(uu, 1.6) * np.minimum(vv, 1.6)
    return (1 - np.sqrt(np.maximum(square, 0))) * np.minimum(half_x, half_y)


def paint_table(patient: Patient, grid: Grid, image: np.ndarray) -> None:
    """Paint the scanner's table under the back, a curved shell around foam."""
    behind = patient.fat_mm + 120 * patient.size * patient.deep + 10  # mm from the middle to the table's surface
    depth = grid.y - np.float32(behind) + np.square(grid.x) * np.float32(1 / 1100)
    inside = np.minimum(np.minimum(depth, 36 - depth), 215 - np.abs(grid.x))
    behind_body = image[:1] < -990
    blend(image, -880.0, coverage(inside, 2.0) * behind_body)
    blend(image, -250.0, coverage(1.5 - np.abs(inside), 2.0) * behind_body)


def paint_organs(patient: Patient, grid: Grid, image: np.ndarray, chest: Lungs) -> None:
    """Paint the fat between the lungs, the heart and great vessels, and the organs under the diaphragm."""
    s, voxel = patient.size, _voxel_mm(grid)
    within = ellipsoid(grid, (20 * s, -8 * s * patient.deep, 0), (110 * s, 76 * s * patient.deep, 105 * s))
    fat = np.minimum(4 - mediastinum(patient, grid), -within)
    blend(image, -85.0, coverage(fat, 2 * voxel))
    lowest = grid.x.size // 2
    half_right = Grid(grid.z, grid.y, grid.x[:, :, :lowest])
    half_left = Grid(grid.z, grid.y, grid.x[:, :, lowest:])
    inside = coverage(chest.wall_mm + 3, 2 * voxel)
    for half, side, columns, tissue in (
        (half_right, RIGHT, slice(0, lowest), LIVER),
        (half_left, LEFT, slice(lowest, None), 48.0),
    ):
        under = coverage(diaphragm(patient, half, side) - half.z, voxel)
        blend(image[:, :, columns], tissue, under * inside[:, :, columns])
    fat_pad = heart_mm(patient, grid)
    blend(image, BLOOD, coverage(-2 - fat_pad, voxel))
    far = float("inf")
    for centre, axes in (
        ((0, spine_y(patient) - 16 * s, 22 * s), (far, 11 * s, 11 * s)),
        ((46 * s, -4 * s, 12 * s), (16 * s, 40 * s, 14 * s)),
        ((40 * s, -26 * s, -26 * s), (60 * s, 9 * s, 9 * s)),
        ((22 * s, -26 * s, 10 * s), (44 * s, 15 * s, 16 * s)),
        ((4 * s, 8 * s, 12 * s), (12 * s, 12 * s, 40 * s)),
        ((80 * s, 24 * s, 4 * s), (90 * s, 7 * s, 9 * s)),
        ((110 * s, -10 * s, -22 * s), (50 * s, 8 * s, 9 * s)),
        ((110 * s, -8 * s, 22 * s), (50 * s, 8 * s, 8 * s)),
    ):
        blend(image, BLOOD, coverage(-ellipsoid(grid, centre, axes), voxel))


def paint_bones(patient: Patient, grid: Grid, image: np.ndarray, chest: Lungs) -> None:
    """Paint ribs around the lungs (sloping forward and ending in cartilage), sternum and shoulder blades."""
    s, voxel = patient.size, _voxel_mm(grid)
    beyond = -chest.wall_mm
    # ribs are bands of this phase, lower in front than behind
    phase = (grid.z + np.float32(0.55) * (grid.y - np.float32(60 * s)) - np.float32(0.12) * np.abs(grid.x)) / s
    band = np.abs((phase / np.float32(RIB_EVERY_MM)) % 1 - np.float32(0.5)) * np.float32(RIB_EVERY_MM * s)
    across = np.maximum(np.abs(beyond - 7.5 * s) - 4.0 * s, band - 5.5 * s)
    across = np.where((np.abs(grid.x) > 26 * s) & (grid.z < patient.apex_mm + 6), across, 20)
    bone = coverage(-across, voxel)
    cartilage = grid.y < -52 * s * patient.deep
    blend(image, np.where(cartilage, CARTILAGE, BONE), bone)
    blend(image, np.where(cartilage, CARTILAGE, MARROW), coverage(-across - 1.8, voxel))
    front = -96 * s * patient.deep
    plate = np.maximum(
        np.abs(grid.y - front - np.maximum(grid.z, 0) * np.float32(0.25)) - 5 * s, np.abs(grid.x) - 17 * s
    )
    plate = np.maximum(plate, np.abs(grid.z - 5 * s) - 85 * s)
    blend(image, 320.0, coverage(-plate, 1.5 * voxel))
    blade = np.maximum(np.abs(beyond - 24 * s) - 2.2 * s, np.abs(np.abs(grid.x) - 98 * s) - 38 * s)
    blade = np.maximum(blade, np.maximum(np.abs(grid.z - 66 * s) - 50 * s, 18 * s - grid.y))
    blend(image, 480.0, coverage(-blade, voxel))


def paint_spine(patient: Patient, grid: Grid, image: np.ndarray) -> None:
    """Paint vertebral bodies, discs, canal, arches and spinous processes into `image`."""
    s, voxel = patient.size, _voxel_mm(grid)
    wide = np.flatnonzero(np.abs(grid.x.ravel()) < 45 * s)
    deep = np.flatnonzero((grid.y.ravel() > 25 * s) & (grid.y.ravel() < 150 * s))
    if not wide.size or not deep.size:
        return
    box = Box((0, int(deep[0]), int(wide[0])), (grid.shape[0], int(deep[-1]) + 1, int(wide[-1]) + 1))
    part, view, y0 = grid.cropped(box), image[box.slices], spine_y(patient)
    height = np.abs((part.z / np.float32(24 * s)) % 1 - np.float32(0.5)) * np.float32(24 * s)  # 12 mm at a disc
    body = ellipsoid(part, (0, y0, 0), (float("inf"), 15 * s, 17 * s))
    behind = np.maximum(np.abs(part.x) - 4 * s, np.abs(part.y - y0 - 42 * s) - 16 * s)
    process = np.maximum(behind, height - 9 * s)
    arch = np.maximum(
        np.abs(ellipsoid(part, (0, y0 + 23 * s, 0), (float("inf"), 12 * s, 15 * s))) - 3 * s, height - 10 * s
    )
    side = np.maximum(np.abs(part.y - y0 - 20 * s - np.abs(part.x) * 0.3) - 4 * s, np.abs(part.x) - 36 * s)
    side = np.maximum(side, height - 5 * s)
    for shape, value in ((arch, BONE), (process, 380.0), (side, 380.0), (body, 90.0)):
        blend(view, value, coverage(-shape, voxel))
    vertebra = np.maximum(body, height - 9.5 * s)
    blend(view, 420.0, coverage(-vertebra, voxel))
    blend(view, 190.0, coverage(-vertebra - 2.0, voxel))


def lung_tissue(patient: Patient, grid: Grid, chest: Lungs) -> np.ndarray:
    """HU of healthy lung tissue without vessels and airways: mean by inspiration, gravity gradient, correlated texture.

    Dependent lung (posterior, as the patient lies on the back) is denser, more so at low inspiration.
    """
    seed = patient.seed
    rng = stream(seed, "tissue")
    mean = -872 + 95 * (0.85 - patient.inspiration) + rng.normal(0, 18)
    gravity = (0.22 + 0.35 * (1 - patient.inspiration)) * rng.uniform(0.8, 1.2)  # HU per mm toward the back
    image = np.float32(mean) + np.float32(gravity) * grid.y
    image = image + np.float32(rng.uniform(8, 24)) * smooth_field(seed, "regional", grid, 50.0)
    image += np.float32(12) * smooth_field(seed, "lobular", grid, 14.0)
    image += np.float32(rng.uniform(9, 18)) * smooth_field(seed, "texture", grid, 5.0)
    fissure = coverage(0.5 - chest.fissure_mm, max(_voxel_mm(grid), 1.0)) * np.float32(min(1.0, 1.0 / _voxel_mm(grid)))
    blend(image, -420.0, fissure)
    return image
