"""Lesions of viral pneumonia, for phantoms and for planting into real scans with region masks.

Lesions grow around foci that prefer the periphery, the back and the base. Their outlines are warped by noise, and each
region is filled to exactly the requested fraction. The change of the scan is physical: a share of the air is replaced
by fluid, so vessels and noise stay visible in ground glass and disappear in consolidation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from weakmask.phantoms.noise import Grid, smooth_field, stream
from weakmask.volume.geometry import Box
from weakmask.volume.storage_order import in_order_of
from weakmask.volume.volume import Volume

GROUND_GLASS, CONSOLIDATION, MIXED = 1, 2, 3
FLUID_HU = 45.0
EDGE_MM = {GROUND_GLASS: 2.4, CONSOLIDATION: 0.9, MIXED: 1.6}  # softness of the outline (standard deviation)
MARGIN_MM = 12.0


@dataclass(frozen=True)
class Survey:
    """A scan's regions in the box around those that get lesions."""

    grid: Grid
    regions: np.ndarray
    depth_mm: np.ndarray  # under the surface of all regions together
    solid: np.ndarray  # vessels, which are not lesion
    open_air: np.ndarray  # 1 outside airways, 0 in a lumen


@dataclass(frozen=True)
class Growth:
    """Per voxel of the box: rank of onset (minus infinity outside regions with lesions) and traits of its focus."""

    rank: np.ndarray
    kind: np.ndarray
    density_hu: np.ndarray


def plant_lesions(
    image: Volume,
    lobes: Volume,
    targets: Mapping[int, float],
    seed: int,
    vessels: np.ndarray | None = None,
    airways: np.ndarray | None = None,
) -> tuple[Volume, Volume]:
    """Plant lesions into a scan.

    Args:
        image: HU; any grid, a phantom or a real scan.
        lobes: Integer regions of the same voxels, in any order.
        targets: Region label -> lesion fraction of that region in [0, 1]; other regions get none.
        seed: Equal seeds plant equal lesions.
        vessels: Bool or coverage on the grid; thick vessels are excluded from the truth of ground glass.
        airways: Bool or coverage of airway lumina; they stay open (air bronchograms).

    Returns:
        The scan with lesions (same type and grid) and their truth (uint8: 0 none, 1 ground-glass, 2 consolidation,
        3 mixed). The truth fills round(fraction x voxels) voxels of each region, exactly.

    Raises:
        ValueError: The grids differ, a fraction is outside [0, 1], or a region has no voxels.
    """
    lobes = in_order_of(lobes, image.geometry)
    planned = {label: fraction for label, fraction in sorted(targets.items()) if fraction != 0}
    for label, fraction in planned.items():
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"the lesion fraction of region {label} is {fraction}; expected 0 to 1")
        if not (lobes.voxels == label).any():
            raise ValueError(f"region {label} has no voxels; it cannot hold lesions")
    truth = np.zeros(image.geometry.shape, np.uint8)
    if not planned:
        return image.with_voxels(image.voxels.copy()), lobes.with_voxels(truth, "label")
    box = _box(lobes, list(planned))
    solid = None if vessels is None else vessels[box.slices]
    chest = _survey(lobes, box, solid, None if airways is None else airways[box.slices])
    growth = _grow(chest, list(planned), seed)
    ill, lesions = _cut(chest, growth, planned)
    truth[box.slices] = lesions
    filled = _fill(image.voxels[box.slices].astype(np.float32), chest, growth, ill, seed)
    voxels = image.voxels.copy()
    whole = np.issubdtype(voxels.dtype, np.integer)
    voxels[box.slices] = (np.rint(filled) if whole else filled).astype(voxels.dtype)
    return image.with_voxels(voxels), lobes.with_voxels(truth, "label")


def _box(lobes: Volume, labels: list[int]) -> Box:
    """The box around the regions that get lesions, with a margin, inside the grid."""
    where = np.isin(lobes.voxels, labels)
    z, y, x = (int(np.ceil(MARGIN_MM / s)) for s in lobes.geometry.spacing_mm)
    return _region_box(where).grown((z, y, x)).clipped(lobes.geometry.shape)


def _survey(lobes: Volume, box: Box, vessels: np.ndarray | None, airways: np.ndarray | None) -> Survey:
    """Compute the `Survey` of the box; vessels and airways are already cropped to it."""
    regions = lobes.voxels[box.slices]
    grid = Grid.of(lobes.geometry).cropped(box)
    solid = np.zeros(regions.shape, bool) if vessels is None else np.asarray(vessels) >= 0.5
    air = np.ones(1, np.float32) if airways is None else 1 - np.asarray(airways, np.float32)
    return Survey(grid, regions, _depth(regions > 0, grid), solid, air)


def _depth(inside: np.ndarray, grid: Grid, coarse_mm: float = 4.5) -> np.ndarray:
    """Distance under the surface in mm, computed on a coarser grid to save time."""
    steps = [max(1, round(coarse_mm / s)) for s in grid.spacing_mm]
    small = inside[:: steps[0], :: steps[1], :: steps[2]]
    spacing = [s * k for s, k in zip(grid.spacing_mm, steps, strict=True)]
    padded = np.pad(small, 1)  # the box's own faces count as outside
    distance = np.asarray(distance_transform_edt(padded, sampling=spacing), np.float32)[1:-1, 1:-1, 1:-1]
    for axis, (n, step) in enumerate(zip(inside.shape, steps, strict=True)):
        place = np.minimum(np.arange(n, dtype=np.float32) / step, distance.shape[axis] - 1)
        low = np.minimum(place.astype(int), max(distance.shape[axis] - 2, 0))
        t = (place - low).reshape([-1 if k == axis else 1 for k in range(3)]).astype(np.float32)
        high = np.minimum(low + 1, distance.shape[axis] - 1)
        distance = np.take(distance, low, axis) * (1 - t) + np.take(distance, high, axis) * t
    return distance


def _grow(chest: Survey, labels: list[int], seed: int) -> Growth:
    """Rank the voxels of each region by how early disease reaches them."""
    grid = chest.grid
    phase = float(stream(seed, "phase").beta(1.3, 1.6))  # 0: fresh ground glass, 1: late, consolidating
    stretch = 1 + np.float32(0.30) * smooth_field(seed, "stretch", grid, 22.0)
    ragged = np.float32(3.0) * smooth_field(seed, "ragged", grid, 8.0)
    ragged += np.float32(1.2) * smooth_field(seed, "frayed", grid, 4.0)
    rank = np.full(chest.regions.shape, -np.inf, np.float32)
    kind = np.zeros(chest.regions.shape, np.uint8)
    density = np.zeros(chest.regions.shape, np.float32)
    for label in labels:
        box = _region_box(chest.regions == label)
        part = grid.cropped(box)
        where = chest.regions[box.slices] == label
        rng = stream(seed, f"foci {label}")
        best = np.full(where.shape, -np.inf, np.float32)
        which = np.zeros(where.shape, np.uint8)
        foci = _foci(part, where, chest.depth_mm[box.slices], rng)
        radii = np.exp(rng.normal(np.log(13), 0.6, len(foci))).clip(3, 45)
        for k, (focus, radius) in enumerate(zip(foci, radii, strict=True)):
            flat = rng.uniform(0.7, 1.3, 3)
            far = np.square((part.z - focus[0]) * flat[0]) + np.square((part.y - focus[1]) * flat[1])
            far = np.sqrt(far + np.square((part.x - focus[2]) * flat[2]))
            closeness = 1 - (far * stretch[box.slices] + ragged[box.slices]) * np.float32(1 / radius)
            nearer = closeness > best
            best = np.where(nearer, closeness, best)
            which = np.where(nearer, np.uint8(k), which)
        kinds, densities = _traits(len(foci), phase, rng)
        best += np.float32(0.5) * np.exp(chest.depth_mm[box.slices] * np.float32(-1 / 12))  # along the pleura first
        rank[box.slices][where] = best[where]
        kind[box.slices][where] = kinds[which[where]]
        density[box.slices][where] = densities[which[where]]
    return Growth(rank, kind, density)


def _region_box(where: np.ndarray) -> Box:
    """The tight box around a mask that is not empty."""
    edges = []
    for axis in range(3):
        hit = np.flatnonzero(where.any(axis=tuple(k for k in range(3) if k != axis)))
        edges.append((int(hit[0]), int(hit[-1]) + 1))
    (z0, z1), (y0, y1), (x0, x1) = edges
    return Box((z0, y0, x0), (z1, y1, x1))


def _foci(part: Grid, where: np.ndarray, depth_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Centres of lesions, drawn in a region with a preference for its periphery, back and base."""
    count = int(rng.integers(3, 15))
    first = np.array([axis[0] for axis in part.axes])
    low, high = (np.array([f(axis) for axis in part.axes]) for f in (np.min, np.max))
    # candidates and luck are drawn independently of the region, so another grid has nearly the same foci
    world, luck = low + rng.uniform(size=(1500, 3)) * (high - low), rng.exponential(size=1500)
    steps = np.array([axis[-1] - axis[0] for axis in part.axes]) / np.maximum(np.array(part.shape) - 1, 1)
    steps[steps == 0] = 1
    index = np.rint((world - first) / steps).astype(int)
    inside = where[tuple(index.T)]
    if not inside.any():  # a region of few voxels
        index = np.argwhere(where)[:1500]
        world, luck, inside = first + index * steps, luck[: len(index)], np.ones(len(index), bool)
    world, luck, depth = world[inside], luck[inside], depth_mm[tuple(index[inside].T)]
    down, back = _rank01(-world[:, 0]), _rank01(world[:, 1])
    weight = (0.12 + np.exp(-depth / 11.0)) * (0.3 + back) * (0.4 + down)
    return world[np.argsort(luck / weight)[:count]]  # weighted sampling without replacement


def _rank01(values: np.ndarray) -> np.ndarray:
    """Values scaled to [0, 1]."""
    reach = np.ptp(values)
    return (values - values.min()) / reach if reach > 0 else np.full(len(values), 0.5)


def _traits(count: int, phase: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Subtype and mean HU of each focus; late disease consolidates."""
    shares = np.array([0.75 - 0.40 * phase, 0.06 + 0.22 * phase, 0.19 + 0.18 * phase])
    kinds = rng.choice([GROUND_GLASS, CONSOLIDATION, MIXED], size=count, p=shares / shares.sum())
    glass = rng.uniform(-725, -500)  # ground glass of one patient has about one density
    hu = {
        GROUND_GLASS: np.clip(rng.normal(glass, 40, count), -750, -450),
        CONSOLIDATION: rng.uniform(-150, 30, count),
        MIXED: rng.uniform(-520, -300, count),
    }
    return kinds.astype(np.uint8), np.choose(kinds - 1, [hu[k] for k in (1, 2, 3)]).astype(np.float32)


def _cut(chest: Survey, growth: Growth, fractions: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Diseased voxels (bool, including vessels) and the truth labels with exactly the requested fractions."""
    ill = np.zeros(chest.regions.shape, bool)
    lesions = np.zeros(chest.regions.shape, np.uint8)
    spared = chest.solid & (growth.kind != CONSOLIDATION)
    for label, fraction in fractions.items():
        index = np.flatnonzero(chest.regions == label)
        rank = growth.rank.ravel()[index]
        last = np.where(spared.ravel()[index], rank - 1000, rank)
        count = max(1, round(fraction * index.size))
        first = np.argpartition(-last, count - 1)[:count]
        lesions.ravel()[index[first]] = growth.kind.ravel()[index[first]]
        ill.ravel()[index] = rank >= last[first].min() if last[first].min() > -500 else True
    return ill, lesions


def _fill(image: np.ndarray, chest: Survey, growth: Growth, ill: np.ndarray, seed: int) -> np.ndarray:
    """Replace air by fluid in diseased voxels; return HU."""
    grid = chest.grid
    fabric = smooth_field(seed, "fabric", grid, 9.0)
    fine = smooth_field(seed, "reticulation", grid, 6.5)
    inside = chest.regions > 0
    healthy = float(np.median(image[inside & ~ill])) if (inside & ~ill).any() else -860.0
    healthy = float(np.clip(healthy, -950, -650))
    noise = image - gaussian_filter(image, 1.0, truncate=2.0)
    grain = 2.5 * 1.4826 * float(np.median(np.abs(noise[inside])))  # the scan's noise, which is kept
    quiet = image - np.clip(noise, -grain, grain)
    result = image.copy()
    spacing = np.array(grid.spacing_mm)
    for kind in (GROUND_GLASS, CONSOLIDATION, MIXED):
        these = ill & (growth.kind == kind)
        if not these.any():
            continue
        soft = gaussian_filter(these.astype(np.float32), EDGE_MM[kind] / spacing, truncate=2.5)
        weighted = gaussian_filter(np.where(these, growth.density_hu, 0), EDGE_MM[kind] / spacing, truncate=2.5)
        mean = weighted / np.maximum(soft, np.float32(1e-3))
        density = mean + _texture(kind, fabric, fine)
        share = np.clip((density - healthy) / (FLUID_HU - healthy), 0, 1)
        if kind == CONSOLIDATION:
            share = share * chest.open_air
        else:
            share = share * (np.float32(0.35) + np.float32(0.65) * chest.open_air)
        result += soft * inside * share * (FLUID_HU - np.minimum(quiet, FLUID_HU))
    return result


def _texture(kind: int, fabric: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """Texture in HU around the mean: cloudy ground glass; nodes and thick septa (crazy paving) in mixed lesions."""
    if kind == GROUND_GLASS:
        return 35 * fabric + 12 * fine
    if kind == CONSOLIDATION:
        twigs = (np.abs(fabric) < 0.10) & (np.abs(fine) < 0.16)  # two surfaces cross in a line, a small open airway
        return 25 * fabric - np.float32(550) * twigs
    septa = np.abs(fine) < 0.14
    return 150 * np.maximum(fabric - 0.4, -0.6) + np.float32(170) * septa
