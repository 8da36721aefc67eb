"""Chest anatomy of a phantom: a patient's measures, lungs, lobes, fissures, diaphragm and mediastinum.

All structures are implicit surfaces in mm around the middle of the chest (z toward the head, y toward the back, x
toward the patient's left), so that every grid shows the same patient. Measures follow an average adult (lung height
about 25 cm, width 28 cm, depth 19 cm, total volume 4 to 6 l, right lung about 55 %).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from weakmask.phantoms.noise import Grid, box_around, smooth_field, stream
from weakmask.volume.geometry import Box

LUL, LLL, RUL, RML, RLL = 1, 2, 3, 4, 5
LEFT, RIGHT = 1.0, -1.0  # sign of x
HILUM_MM = {LEFT: (8.0, 6.0, 40.0), RIGHT: (2.0, 6.0, -42.0)}  # (z, y, x) of the entry of airways and vessels


@dataclass(frozen=True)
class Patient:
    """Measures of one patient; lengths in mm, HU offsets relative to the average.

    Attributes:
        seed: Seed of all measures.
        size: Overall scale; 1 is an adult of average height.
        wide, deep, tall: Further scale along each axis.
        dome_mm: Height of the right and left diaphragm domes above the average at full inspiration.
        dome_hollow: Depth of the diaphragm from dome to rim, relative to the average.
        heart: Scale of the heart.
        fat_mm: Thickness of the layer of fat under the skin.
        inspiration: 0 (expiration) to 1 (full inspiration); sets the height of the domes and the density of the lungs.
        fissure_tilt: Tilt and height of the oblique and horizontal fissures (left, right, horizontal), mm.
        fissure_gap: Share of each fissure that is missing.
    """

    seed: int
    size: float
    wide: float
    deep: float
    tall: float
    dome_mm: tuple[float, float]
    dome_hollow: float
    heart: float
    fat_mm: float
    inspiration: float
    fissure_tilt: tuple[float, float, float]
    fissure_gap: float

    @property
    def apex_mm(self) -> float:
        """Height of the apex of the lungs, mm."""
        return 120.0 * self.size * self.tall

    @property
    def height_mm(self) -> float:
        """Height of the lungs from the apex to the lowest recess, mm."""
        return 250.0 * self.size * self.tall


def draw_patient(seed: int) -> Patient:
    """Draw a patient from a seed."""
    rng = stream(seed, "patient")
    inspiration = float(rng.beta(3.5, 1.4))
    low_breath = 26.0 * (0.75 - inspiration)
    return Patient(
        seed=seed,
        size=float(np.clip(rng.normal(0.97, 0.045), 0.88, 1.06)),
        wide=float(np.clip(rng.normal(1.0, 0.03), 0.93, 1.06)),
        deep=float(np.clip(rng.normal(1.0, 0.05), 0.90, 1.10)),
        tall=float(np.clip(rng.normal(1.0, 0.035), 0.92, 1.07)),
        dome_mm=(low_breath + float(rng.normal(6, 4)), low_breath + float(rng.normal(-6, 4))),
        dome_hollow=float(rng.uniform(0.8, 1.2)),
        heart=float(rng.uniform(0.88, 1.15)),
        fat_mm=float(rng.uniform(7, 24)),
        inspiration=inspiration,
        fissure_tilt=(float(rng.normal(0, 7)), float(rng.normal(0, 7)), float(rng.normal(0, 6))),
        fissure_gap=float(rng.uniform(0.1, 0.5)),
    )


@dataclass(frozen=True)
class Lungs:
    """Both lungs on a grid.

    Attributes:
        depth_mm: Signed distance from the lungs' surface, positive inside (approximate beyond 20 mm).
        wall_mm: Signed distance from the rib cage's inner wall; negative in ribs and body wall.
        backward: Direction of the nearest chest wall along y: -1 in front, 1 behind.
        lobes: Labels 1-5, 0 outside (uint8).
        fissure_mm: Distance to the nearest fissure (large outside the lungs).
    """

    depth_mm: np.ndarray
    wall_mm: np.ndarray
    backward: np.ndarray
    lobes: np.ndarray
    fissure_mm: np.ndarray


def lungs(patient: Patient, grid: Grid) -> Lungs:
    """Compute a patient's lungs on a grid."""
    shape = grid.shape
    middle = int(np.searchsorted(grid.x.ravel(), 0.0))
    parts = [np.empty(shape, np.float32) for _ in range(4)]
    lobes = np.zeros(shape, np.uint8)
    uneven = smooth_field(patient.seed, "lung surface", grid, 28.0)
    for side, columns in ((RIGHT, slice(0, middle)), (LEFT, slice(middle, shape[2]))):
        if columns.stop <= columns.start:
            continue
        half = Grid(grid.z, grid.y, grid.x[:, :, columns])
        depth, wall, backward = _lung(patient, half, side)
        depth += np.float32(1.2) * uneven[:, :, columns]
        labels, fissure = _split(patient, half, side)
        lobes[:, :, columns] = np.where(depth > 0, labels, 0)
        for part, values in zip(parts, (depth, wall, backward, fissure), strict=True):
            part[:, :, columns] = values
    return Lungs(parts[0], parts[1], parts[2], lobes, parts[3])


def smooth_minimum(a: np.ndarray, b: np.ndarray, round_mm: float) -> np.ndarray:
    """Minimum of two signed distances, with the edge between them rounded over `round_mm`."""
    overlap = np.maximum(np.float32(round_mm) - np.abs(a - b), 0)
    return np.minimum(a, b) - overlap * overlap * np.float32(0.25 / round_mm)


def cage(patient: Patient, z: np.ndarray, side: float) -> tuple[np.ndarray, ...]:
    """Centre (y, x) and half-axes (y, x) in mm of the rib cage's inner outline around one lung at each height."""
    s = patient.size
    t = (patient.apex_mm - z) / patient.height_mm  # 0 at the top, 1 at the lowest recess

    def rise(reach: float, power: float) -> np.ndarray:
        """The width at each height as a part of the full width, which is reached at `reach`."""
        u = np.clip(1 - t / reach, 0, 1)
        return np.power(1 - np.power(u, power), 1 / power)  # a quarter of a superellipse: round top, upright wall

    base = np.clip(t - 0.55, 0, 1.2)
    lateral = 36 + (94 + (3 if side == RIGHT else -3)) * rise(0.75, 2.1) + 14 * base
    medial = 36 - 31 * rise(0.30, 2.2)
    front = 18 - (104 * rise(0.72, 1.75) - 14 * base)
    back = 18 + 68 * rise(0.45, 2.1) + 10 * rise(1.0, 2.0)
    lateral, medial = lateral * s * patient.wide, medial * s
    front, back = front * s * patient.deep, back * s * patient.deep
    half_x, half_y = np.maximum(0.5 * (lateral - medial), 0.5), np.maximum(0.5 * (back - front), 0.5)
    return 0.5 * (front + back), side * 0.5 * (lateral + medial), half_y, half_x


def _lung(patient: Patient, grid: Grid, side: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signed depth inside one lung, depth inside its rib cage, and relative front-to-back position in the cage."""
    y0, x0, half_y, half_x = (a.astype(np.float32) for a in cage(patient, grid.z.astype(np.float64), side))
    v, u = (grid.y - y0) / half_y, (grid.x - x0) / half_x
    uu, vv = u * u, v * v
    squircle = uu + vv - np.float32(0.25) * np.minimum(uu, 1.5) * np.minimum(vv, 1.5)  # an ellipse with fuller corners
    wall = (1 - np.sqrt(np.maximum(squircle, 0))) * np.minimum(half_x, half_y)
    top = (np.float32(patient.apex_mm) - grid.z) * np.float32(0.9)
    wall = np.minimum(wall, top)
    depth = smooth_minimum(wall, (grid.z - diaphragm(patient, grid, side)) * np.float32(0.8), 9.0)
    return smooth_minimum(depth, mediastinum(patient, grid), 8.0), wall, np.broadcast_to(v, wall.shape)


def diaphragm(patient: Patient, grid: Grid, side: float) -> np.ndarray:
    """Height of one diaphragm over the (y, x) plane, mm; shaped (1, y, x)."""
    s = patient.size
    up = patient.dome_mm[0] if side == RIGHT else patient.dome_mm[1]
    top = patient.apex_mm - (0.74 * patient.height_mm) + up
    plane = Grid(np.zeros((1, 1, 1), np.float32), grid.y, grid.x)
    along_y, along_x = grid.y / np.float32(s) + np.float32(22), np.abs(grid.x) / np.float32(s) - np.float32(68)
    back = np.square(np.maximum(along_y, 0) / np.float32(100))
    front = np.square(np.minimum(along_y, 0) / np.float32(75))
    rim = (
        62 * back + 34 * front + 42 * np.square(np.maximum(along_x, 0) / np.float32(66)) + 10 * np.square(along_x / 66)
    )
    waves = smooth_field(patient.seed, f"diaphragm{side:g}", plane, 45.0)
    return (top - patient.dome_hollow * s * rim + 3 * waves).astype(np.float32)


def ellipsoid(grid: Grid, centre: tuple[float, float, float], axes: tuple[float, float, float]) -> np.ndarray:
    """Approximate signed distance in mm outside an axis-parallel ellipsoid (negative inside); infinite axes allowed."""
    q = np.float32(0)
    for coordinate, c, a in zip((grid.z, grid.y, grid.x), centre, axes, strict=True):
        q = q + np.square((coordinate - np.float32(c)) * np.float32(1 / a))
    return (np.sqrt(q) - 1) * np.float32(min(axes))


def heart_mm(patient: Patient, grid: Grid) -> np.ndarray:
    """Distance outside the heart, mm; it is tilted to the left and lies on the diaphragm."""
    s, h = patient.size, patient.size * patient.heart
    bottom = patient.apex_mm - 0.74 * patient.height_mm + patient.dome_mm[1]
    z = bottom + 42 * h
    ventricles = ellipsoid(grid, (z - 8 * s, -38 * s, 32 * s), (50 * h, 46 * h, 50 * h))
    atria = ellipsoid(grid, (z + 14 * s, -18 * s, -8 * s), (50 * h, 44 * h, 40 * h))
    return smooth_minimum(ventricles, atria, 14.0)


def mediastinum(patient: Patient, grid: Grid) -> np.ndarray:
    """Distance outside the mediastinum (spine, great vessels, hila and heart), mm."""
    s = patient.size
    far = float("inf")
    parts = [
        ellipsoid(grid, (0, -12 * s, 0), (far, 74 * s, 21 * s)),  # the middle, narrow in front
        ellipsoid(grid, (0, spine_y(patient), 0), (far, 24 * s, 23 * s)),
        ellipsoid(grid, (0, spine_y(patient) - 16 * s, 22 * s), (far, 13 * s, 13 * s)),  # descending aorta
        ellipsoid(grid, (48 * s, -4 * s, 12 * s), (22 * s, 46 * s, 26 * s)),  # arch
        ellipsoid(grid, (100 * s, -6 * s, 0), (60 * s, 40 * s, 34 * s)),  # vessels to neck and arms
        ellipsoid(grid, (8 * s, 4 * s, 26 * s), (24 * s, 20 * s, 22 * s)),  # hila
        ellipsoid(grid, (0 * s, 4 * s, -26 * s), (26 * s, 20 * s, 24 * s)),
    ]
    outside = heart_mm(patient, grid)
    for part in parts:
        outside = smooth_minimum(outside, part, 10.0)
    return outside


def spine_y(patient: Patient) -> float:
    """Position of the middle of the vertebral bodies, mm toward the back."""
    return 62.0 * patient.size * patient.deep


def _split(patient: Patient, grid: Grid, side: float) -> tuple[np.ndarray, np.ndarray]:
    """Lobe labels of one side, extended outside the lung, and distance in mm to the visible part of a fissure."""
    s, seed = patient.size, patient.seed
    sheet = Grid(np.zeros((1, 1, 1), np.float32), grid.y, grid.x)
    curve = smooth_field(seed, f"oblique{side:g}", sheet, 55.0)
    tilt = patient.fissure_tilt[0] if side == LEFT else patient.fissure_tilt[1]
    # slopes forward: high behind (a quarter below the apex), low in front; twisted from side to side
    lean = np.float32(0.90 + 0.004 * tilt)
    across = (np.abs(grid.x) / np.float32(s) - 75) * np.float32(0.12)
    middle = patient.apex_mm - 0.573 * patient.height_mm + (3 * s if side == LEFT else -2 * s) + tilt
    oblique = middle + lean * (grid.y + np.float32(8)) + across * np.float32(1.0) + 5 * curve
    above = (grid.z - oblique) * np.float32(0.74)
    gaps = smooth_field(seed, "fissure gaps", grid, 30.0)
    missing = np.float32(ndtri(1 - patient.fissure_gap))  # this share of the field lies above it
    fissure = np.abs(above) + np.where(gaps > missing, np.float32(50), np.float32(0))
    if side == LEFT:
        return np.where(above > 0, LUL, LLL), fissure
    bend = smooth_field(seed, "horizontal", sheet, 45.0)
    level = patient.apex_mm - 0.435 * patient.height_mm + patient.fissure_tilt[2] + 4 * bend
    over = grid.z - level.astype(np.float32) + np.float32(0.10) * (grid.y + 30)
    labels = np.where(above > 0, np.where(over > 0, RUL, RML), RLL)
    horizontal = np.where(above > 0, np.abs(over), np.float32(50))
    return labels, np.minimum(fissure, horizontal + np.where(gaps > missing - 0.4, np.float32(50), np.float32(0)))


def lung_box(patient: Patient, grid: Grid, margin_mm: float = 22.0) -> Box:
    """The box of both lungs and the ribs around them."""
    s = patient.size
    x = 136 * s * patient.wide + margin_mm
    low = (patient.apex_mm - 1.06 * patient.height_mm - margin_mm, -92 * s * patient.deep - margin_mm, -x)
    high = (patient.apex_mm + margin_mm, 100 * s * patient.deep + margin_mm, x)
    return box_around(grid, low, high)
