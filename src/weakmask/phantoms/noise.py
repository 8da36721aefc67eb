"""Smooth random fields anchored in the world: the same patient at every spacing, size and crop of the grid.

A field is white noise on a lattice of fixed world positions, spread by a cubic B-spline. On a regular grid that is
three short sums (one per axis), cheaper than filtering and exact at any spacing.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Integer

from weakmask.volume.geometry import Box, Float3, Geometry, Index3

WORLD_MM = 480.0  # fields repeat after this length ...
MOST_KNOTS = 72  # ... or after so many knots, whichever is shorter


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one part of a phantom; drawing more in one part never changes another."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


@dataclass(frozen=True)
class Grid:
    """World coordinates in mm of an axis-parallel grid: one float32 array per axis, each shaped to broadcast."""

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, geometry: Geometry) -> "Grid":
        """The coordinates of a geometry of axial slices, flips allowed; a small tilt of the scanner is left out.

        Raises:
            ValueError: The slices are sagittal or coronal.
        """
        axes = zip(geometry.shape, geometry.spacing_mm, _signs(geometry), geometry.origin_mm, strict=True)
        z, y, x = (np.float32(o) + np.arange(n, dtype=np.float32) * np.float32(s * d) for n, s, d, o in axes)
        return cls(z[:, None, None], y[None, :, None], x[None, None, :])

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three coordinate rows, flat."""
        return self.z.ravel(), self.y.ravel(), self.x.ravel()

    @property
    def shape(self) -> Index3:
        """Voxels along each axis."""
        return self.z.size, self.y.size, self.x.size

    @property
    def spacing_mm(self) -> Float3:
        """Distance between voxel centres; 1 where an axis has a single voxel."""
        z, y, x = (float(abs(a[1] - a[0])) if a.size > 1 else 1.0 for a in self.axes)
        return z, y, x

    def cropped(self, box: Box) -> "Grid":
        """The coordinates of a box inside the grid."""
        z, y, x = box.slices
        return Grid(self.z[z], self.y[:, y], self.x[:, :, x])


def _signs(geometry: Geometry) -> tuple[float, float, float]:
    """Which way each index runs along its world axis."""
    direction = np.asarray(geometry.direction)
    if (np.abs(direction).argmax(axis=0) != np.arange(3)).any():
        raise ValueError(f"direction is {geometry.direction}; expected axial slices (resample the scan first)")
    z, y, x = (float(sign) for sign in np.sign(np.diag(direction)))
    return z, y, x


def centred_geometry(shape: Index3, spacing_mm: Float3) -> Geometry:
    """An axial grid whose middle is the world's origin, where a phantom has the middle of its chest."""
    z, y, x = (-0.5 * (n - 1) * s for n, s in zip(shape, spacing_mm, strict=True))
    return Geometry(shape=shape, spacing_mm=spacing_mm, origin_mm=(z, y, x))


def box_around(grid: Grid, low_mm: Float3, high_mm: Float3) -> Box:
    """The voxels between two world points; empty axes where the grid does not reach them."""
    start, stop = [], []
    for axis, low, high in zip(grid.axes, low_mm, high_mm, strict=True):
        inside = np.flatnonzero((axis >= low) & (axis <= high))
        start.append(int(inside[0]) if inside.size else 0)
        stop.append(int(inside[-1]) + 1 if inside.size else 0)
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def smooth_field(seed: int, name: str, grid: Grid, length_mm: float) -> Float32[np.ndarray, "z y x"]:
    """A field of mean 0 and standard deviation 1 whose hills are about `length_mm` across (half a wavelength).

    Equal seeds, names and lengths give the same field in the world on every grid. An axis of one voxel is allowed, so
    that a field over a plane costs a plane.
    """
    step = 0.6 * length_mm  # the spline's own width is about 1.6 knots
    knots = int(min(MOST_KNOTS, np.ceil(WORLD_MM / step)))
    field = stream(seed, f"{name}/{length_mm:g}").standard_normal((knots, knots, knots), dtype=np.float32)
    # x first and z last: the largest step then moves whole planes. No matrix product, whose rounding would depend on
    # the number of threads
    for k in (2, 1, 0):
        first, weights = _spline(grid.axes[k], step)
        shape = [-1 if axis == k else 1 for axis in range(3)]
        terms = (np.take(field, (first + j) % knots, axis=k) * weights[:, j].reshape(shape) for j in range(4))
        field = sum(terms, start=np.float32(0))
    return np.asarray(field)


def _spline(axis: np.ndarray, step: float) -> tuple[Integer[np.ndarray, " n"], Float32[np.ndarray, "n 4"]]:
    """First of four knots and their cubic B-spline weights, scaled to keep a variance of 1 between the knots too."""
    place = axis.astype(np.float64) / step
    base = np.floor(place).astype(int)
    t = place - base
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return base - 1, weights.astype(np.float32)


def coverage(depth_mm: np.ndarray, width_mm: float) -> np.ndarray:
    """How much of a voxel lies inside a surface whose signed depth at the voxel's centre is known: 0, ramp, 1."""
    return np.clip(depth_mm / np.float32(width_mm) + np.float32(0.5), 0, 1)
