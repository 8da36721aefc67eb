"""Smooth random fields in world coordinates, equal at every spacing, size and crop of the grid.

A field is white noise on a lattice of fixed world positions, interpolated by a cubic B-spline. On a regular grid this
is three short sums (one per axis), which is cheaper than filtering and exact at any spacing.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Integer

from weakmask.volume.geometry import Box, Float3, Geometry, Index3

WORLD_MM = 480.0  # period of the fields
MOST_KNOTS = 72  # largest period in knots


def stream(seed: int, name: str) -> np.random.Generator:
    """Random generator of one part of a phantom, independent of all other parts."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


@dataclass(frozen=True)
class Grid:
    """World coordinates in mm of an axis-parallel grid: one float32 array per axis, each shaped to broadcast."""

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, geometry: Geometry) -> "Grid":
        """Coordinates of a geometry of axial slices, which may be flipped; a small tilt is ignored.

        Raises:
            ValueError: The slices are sagittal or coronal.
        """
        axes = zip(geometry.shape, geometry.spacing_mm, _signs(geometry), geometry.origin_mm, strict=True)
        z, y, x = (np.float32(o) + np.arange(n, dtype=np.float32) * np.float32(s * d) for n, s, d, o in axes)
        return cls(z[:, None, None], y[None, :, None], x[None, None, :])

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The coordinates along each axis as three 1-D arrays."""
        return self.z.ravel(), self.y.ravel(), self.x.ravel()

    @property
    def shape(self) -> Index3:
        """Voxels along each axis."""
        return self.z.size, self.y.size, self.x.size

    @property
    def spacing_mm(self) -> Float3:
        """Distance between voxel centres; 1 for an axis of one voxel."""
        z, y, x = (float(abs(a[1] - a[0])) if a.size > 1 else 1.0 for a in self.axes)
        return z, y, x

    def cropped(self, box: Box) -> "Grid":
        """The coordinates of a box inside the grid."""
        z, y, x = box.slices
        return Grid(self.z[z], self.y[:, y], self.x[:, :, x])


def _signs(geometry: Geometry) -> tuple[float, float, float]:
    """Direction of each index along its world axis, 1 or -1."""
    direction = np.asarray(geometry.direction)
    if (np.abs(direction).argmax(axis=0) != np.arange(3)).any():
        raise ValueError(f"direction is {geometry.direction}; expected axial slices (resample the scan first)")
    z, y, x = (float(sign) for sign in np.sign(np.diag(direction)))
    return z, y, x


def centred_geometry(shape: Index3, spacing_mm: Float3) -> Geometry:
    """An axial grid centred on the world origin, the middle of a phantom's chest."""
    z, y, x = (-0.5 * (n - 1) * s for n, s in zip(shape, spacing_mm, strict=True))
    return Geometry(shape=shape, spacing_mm=spacing_mm, origin_mm=(z, y, x))


def box_around(grid: Grid, low_mm: Float3, high_mm: Float3) -> Box:
    """The box of voxels between two world points; an axis is empty if the grid does not reach them."""
    start, stop = [], []
    for axis, low, high in zip(grid.axes, low_mm, high_mm, strict=True):
        inside = np.flatnonzero((axis >= low) & (axis <= high))
        start.append(int(inside[0]) if inside.size else 0)
        stop.append(int(inside[-1]) + 1 if inside.size else 0)
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def smooth_field(seed: int, name: str, grid: Grid, length_mm: float) -> Float32[np.ndarray, "z y x"]:
    """A field of mean 0 and standard deviation 1 with hills of width `length_mm` (half a wavelength).

    Equal seeds, names and lengths give the same field in the world on every grid. An axis may have one voxel, for a
    field over a plane.
    """
    step = 0.6 * length_mm  # the spline's own width is about 1.6 knots
    knots = int(min(MOST_KNOTS, np.ceil(WORLD_MM / step)))
    field = stream(seed, f"{name}/{length_mm:g}").standard_normal((knots, knots, knots), dtype=np.float32)
    # x first and z last, so that the largest step moves whole planes. A matrix product is not used because its rounding
    # depends on the number of threads
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
    """Fraction of a voxel inside a surface, as a linear ramp of the signed depth of the voxel's centre."""
    return np.clip(depth_mm / np.float32(width_mm) + np.float32(0.5), 0, 1)
