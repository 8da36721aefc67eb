"""Bodies inside the cells of an electron microscopy phantom: tubes along smooth random paths, such as mitochondria.

Coordinates are nanometres from the first voxel.
"""

import math
from dataclasses import dataclass, field

import cc3d
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32
from scipy.spatial import KDTree

from weakmask.phantoms.em_cells import Cells
from weakmask.volume.geometry import Float3

STEP_NM = 30.0  # between points of a path
WALL_NM = 14.0  # between a body and the membrane of its cell
GAP_NM = 45.0  # least distance of bodies that do not touch
TRIES = 8  # directions tried before a path ends
LEAST_VOXELS = 40


@dataclass(frozen=True)
class BodyStyle:
    """Sizes of bodies.

    Attributes:
        radius_nm: Smallest and largest mean radius.
        length_nm: Smallest and largest length of the path.
        touching: Share of the bodies that touch another one.
        neck: Probability of a string-like neck.
        calibre: Relative change of the radius along the path.
    """

    radius_nm: tuple[float, float] = (70.0, 190.0)
    length_nm: tuple[float, float] = (250.0, 2600.0)
    touching: float = 0.18
    neck: float = 0.12
    calibre: float = 0.18


@dataclass(frozen=True)
class Tube:
    """A path with a radius at each point, and the cell that it lies in."""

    points: Float[np.ndarray, "n 3"]
    radius: Float[np.ndarray, " n"]
    cell: int


@dataclass
class Bodies:
    """The bodies of a stack while they are placed.

    Attributes:
        labels: Number of the body in each voxel, from 1; 0 outside.
        depth_nm: Distance of each voxel to the surface of its body.
        along_nm: Position of each voxel along the path of its body.
        tubes: The path of each body; number 1 comes first.
    """

    labels: Int32[np.ndarray, "z y x"]
    depth_nm: Float32[np.ndarray, "z y x"]
    along_nm: Float32[np.ndarray, "z y x"]
    tubes: list[Tube] = field(default_factory=list)

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> "Bodies":
        """A stack without bodies."""
        return cls(np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))


@dataclass(frozen=True)
class Space:
    """Where bodies may lie: the cells and the voxel size."""

    cells: Cells
    spacing_nm: Float3

    @property
    def size_nm(self) -> Float[np.ndarray, "3"]:
        """The sides of the stack."""
        return np.array(self.cells.number.shape) * np.array(self.spacing_nm)

    def at(self, point: Float[np.ndarray, "3"]) -> tuple[int, float]:
        """The cell of a point and its distance to the membrane; cell -1 outside the stack."""
        index = np.rint(point / self.spacing_nm).astype(int)
        if (index < 0).any() or (index >= self.cells.number.shape).any():
            return -1, 0.0
        z, y, x = index
        return int(self.cells.number[z, y, x]), float(self.cells.depth_nm[z, y, x])


def fill(space: Space, style: BodyStyle, share: float, rng: np.random.Generator) -> Bodies:
    """Place bodies until they take a share of the voxels, or no more fit."""
    bodies, wanted, misses = Bodies.none(space.cells.number.shape), share * space.cells.number.size, 0
    filled, touching = 0, 0.0
    while filled < wanted and misses < 300:
        count = len(bodies.tubes)
        against = touching < style.touching * count and rng.random() < 0.5
        tube = _beside(bodies, space, style, rng) if against else _anywhere(space, style, rng)
        added = 0 if tube is None else _add(bodies, tube, space, touching=against)
        misses += added == 0
        filled += added
        touching += 2.0 * (against and added > 0)
    return bodies


def touching_pairs(labels: Int32[np.ndarray, "z y x"]) -> set[tuple[int, int]]:
    """The pairs of bodies, lower number first, that share a face of a voxel."""
    pairs: set[tuple[int, int]] = set()
    for axis in range(3):
        a, b = (np.moveaxis(labels, axis, 0)[part].ravel() for part in (slice(None, -1), slice(1, None)))
        meet = (a != b) & (a > 0) & (b > 0)
        found = np.unique(np.sort(np.stack([a[meet], b[meet]], axis=1), axis=1), axis=0)
        pairs |= {(int(low), int(high)) for low, high in found}
    return pairs


def _anywhere(space: Space, style: BodyStyle, rng: np.random.Generator) -> Tube | None:
    """A tube that starts at a random place with room for its radius."""
    radius = rng.uniform(*style.radius_nm)
    start = rng.random(3) * space.size_nm
    cell, depth = space.at(start)
    if cell < 0 or depth < 0.75 * radius:
        return None
    direction = rng.normal(size=3) * (0.6, 1.0, 1.0)
    return _tube(start, direction, radius, cell, space, style, rng)


def _beside(bodies: Bodies, space: Space, style: BodyStyle, rng: np.random.Generator) -> Tube | None:
    """A tube that starts at the surface of another one and runs beside it."""
    other = bodies.tubes[int(rng.integers(len(bodies.tubes)))]
    at = int(rng.integers(len(other.points)))
    radius = float(np.clip(other.radius[at] * rng.uniform(0.7, 1.3), *style.radius_nm))
    tangent = _tangents(other.points)[at]
    across = np.cross(tangent, rng.normal(size=3))
    start = other.points[at] + across / max(np.linalg.norm(across), 1e-6) * 0.93 * (other.radius[at] + radius)
    cell, depth = space.at(start)
    if cell != other.cell or depth < 0.5 * radius:
        return None
    return _tube(start, tangent, radius, cell, space, style, rng)


def _tube(
    start: np.ndarray,
    direction: np.ndarray,
    radius: float,
    cell: int,
    space: Space,
    style: BodyStyle,
    rng: np.random.Generator,
) -> Tube:
    """A tube that grows from a point in both directions while it stays in its cell."""
    low, high = np.log(style.length_nm)
    steps = max(2, int(math.exp(rng.uniform(low, high)) / STEP_NM / 2))
    unit = direction / np.linalg.norm(direction)
    ways = [_walk(start, sign * unit, radius, cell, space, rng, steps) for sign in (-1.0, 1.0)]
    points = np.array([*reversed(ways[0]), start, *ways[1]])
    n = len(points)
    waves = np.interp(np.arange(n), np.arange(0, n + 12, 6), rng.normal(size=len(np.arange(0, n + 12, 6))))
    calibre = radius * np.clip(1 + style.calibre * waves, 0.5, 1.5)
    if rng.random() < style.neck and n > 10:
        middle = rng.uniform(0.3, 0.7) * n
        calibre = calibre * (1 - 0.65 * np.exp(-(((np.arange(n) - middle) * STEP_NM / 110.0) ** 2)))
    return Tube(points, calibre, cell)


def _walk(
    start: np.ndarray, unit: np.ndarray, radius: float, cell: int, space: Space, rng: np.random.Generator, steps: int
) -> list[np.ndarray]:
    """Points of a path that turns smoothly; it ends at the membrane."""
    points: list[np.ndarray] = []
    at = start
    for _ in range(steps):
        for attempt in range(TRIES):
            turned = unit + rng.normal(0, 0.13 + 0.1 * attempt, 3)
            turned /= np.linalg.norm(turned)
            inside, depth = space.at(at + STEP_NM * turned)
            if inside == cell and depth > 0.6 * radius:
                break
        else:
            return points
        unit, at = turned, at + STEP_NM * turned
        points.append(at)
    return points


def _tangents(points: np.ndarray) -> np.ndarray:
    """Unit vectors along a path."""
    if len(points) < 2:
        return np.array([[0.0, 0.0, 1.0]])
    steps = np.gradient(points, axis=0)
    return steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-6)


def _add(bodies: Bodies, tube: Tube, space: Space, *, touching: bool) -> int:
    """Draw a tube into free voxels of its cell; 0 voxels are added where it does not fit."""
    spacing, shape = np.array(space.spacing_nm), np.array(bodies.labels.shape)
    reach = tube.radius.max() + GAP_NM
    low = np.clip(np.floor((tube.points.min(axis=0) - reach) / spacing), 0, shape).astype(int)
    high = np.clip(np.ceil((tube.points.max(axis=0) + reach) / spacing) + 1, 0, shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    places = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    places = (places * spacing).reshape(-1, 3)
    distance, nearest = KDTree(tube.points).query(places)
    depth = (tube.radius[nearest] - distance).reshape(high - low)
    taken = bodies.labels[box] > 0
    inside = (depth > 0) & (space.cells.number[box] == tube.cell) & (space.cells.depth_nm[box] > WALL_NM)
    if not _fits(inside, taken, depth, touching=touching):
        return 0
    new = _largest_piece(inside & ~taken)
    offset = places - tube.points[nearest]
    along = nearest * STEP_NM + (offset * _tangents(tube.points)[nearest]).sum(axis=1)
    bodies.tubes.append(tube)
    bodies.labels[box][new] = len(bodies.tubes)
    wall = space.cells.depth_nm[box] - WALL_NM
    bodies.depth_nm[box][new] = np.minimum(depth, wall)[new]
    bodies.along_nm[box][new] = along.reshape(depth.shape)[new]
    return int(new.sum())


def _largest_piece(mask: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """The largest part of a mask whose voxels are connected by faces."""
    pieces = cc3d.connected_components(mask, connectivity=6)
    sizes = np.bincount(np.ravel(pieces))
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def _fits(
    inside: Bool[np.ndarray, "z y x"], taken: Bool[np.ndarray, "z y x"], depth: np.ndarray, *, touching: bool
) -> bool:
    """Whether a body has room: most of its voxels are free, and none is near another body unless it is to touch one."""
    free = int((inside & ~taken).sum())
    if free < LEAST_VOXELS or free < 0.6 * int(inside.sum()):
        return False
    return touching or not bool((taken & (depth > -GAP_NM)).any())
