"""Geometry: the position of a grid of voxels in the world.

Indices and world coordinates are in the order (z, y, x): a world point is (toward the head, toward the back, toward the
patient's left) in mm. That is the LPS frame of DICOM and SimpleITK read backwards, so `direction` is the SimpleITK
matrix with rows and columns reversed, and an ordinary axial scan has the identity.
"""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

Index3 = tuple[int, int, int]
Float3 = tuple[float, float, float]
Direction = tuple[Float3, Float3, Float3]

# Tolerance of the orthonormality of a direction, for rounding in headers.
ORTHONORMAL = 1e-3
IDENTITY: Direction = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Box:
    """A block of voxels, `start` inside and `stop` outside, in (z, y, x); it may reach past the grid."""

    start: Index3
    stop: Index3

    @property
    def shape(self) -> Index3:
        """Voxels along each axis."""
        z, y, x = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into an array; only for boxes that lie inside the grid."""
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    def grown(self, voxels: Index3) -> "Box":
        """The box enlarged by `voxels` on both sides of each axis."""
        start = tuple(a - n for a, n in zip(self.start, voxels, strict=True))
        stop = tuple(b + n for b, n in zip(self.stop, voxels, strict=True))
        return Box(start, stop)  # pyright: ignore[reportArgumentType]

    def clipped(self, shape: Index3) -> "Box":
        """The part of the box inside a grid of this shape."""
        start = tuple(max(0, a) for a in self.start)
        stop = tuple(min(n, b) for n, b in zip(shape, self.stop, strict=True))
        return Box(start, stop)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Geometry:
    """A regular grid in the world; all attributes are in (z, y, x).

    Attributes:
        shape: Voxels along each axis.
        spacing_mm: Distance between neighbouring voxel centres along each axis.
        origin_mm: World position of the centre of voxel (0, 0, 0).
        direction: Orthonormal; column j is the world direction of growing index j. A determinant of -1
            (a flipped axis) is allowed.

    Raises:
        ValueError: An empty shape, a spacing that is not positive and finite, or a direction that is not orthonormal.
    """

    shape: Index3
    spacing_mm: Float3 = (1.0, 1.0, 1.0)
    origin_mm: Float3 = (0.0, 0.0, 0.0)
    direction: Direction = IDENTITY

    def __post_init__(self) -> None:
        """Convert the values to plain tuples, which hash and print well, and check them."""
        plain = {
            "shape": tuple(operator.index(n) for n in self.shape),
            "spacing_mm": tuple(float(s) for s in self.spacing_mm),
            "origin_mm": tuple(float(o) for o in self.origin_mm),
            "direction": tuple(tuple(float(v) for v in row) for row in self.direction),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)  # the way into a frozen dataclass
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape is {self.shape}; expected three positive numbers (z, y, x)")
        if len(self.spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing is {self.spacing_mm} mm; expected three positive numbers")
        if len(self.origin_mm) != 3 or not np.isfinite(self.origin_mm).all():
            raise ValueError(f"origin is {self.origin_mm} mm; expected three finite numbers")
        matrix = np.asarray(self.direction, dtype=float)
        orthonormal = matrix.shape == (3, 3) and np.isfinite(matrix).all()
        if not orthonormal or np.abs(matrix.T @ matrix - np.eye(3)).max() > ORTHONORMAL:
            raise ValueError(f"direction is {self.direction}; expected an orthonormal matrix")

    @classmethod
    def from_xyz(
        cls, size: Sequence[int], spacing: Sequence[float], origin: Sequence[float], direction: np.ndarray
    ) -> "Geometry":
        """Convert a geometry from the order (x, y, z) of ITK and DICOM.

        Args:
            size: Voxels along x, y, z.
            spacing: In mm.
            origin: In mm, in the LPS frame.
            direction: 3 x 3; column j is the LPS direction of growing index j of (x, y, z). Small deviations from an
                orthonormal matrix are corrected (nearest rotation or reflection); larger ones are refused.

        Raises:
            ValueError: As for the class.
        """
        matrix = np.asarray(direction, dtype=float)
        if np.isfinite(matrix).all() and 1e-12 < np.abs(matrix.T @ matrix - np.eye(3)).max() <= ORTHONORMAL:
            left, _, right = np.linalg.svd(matrix)
            matrix = left @ right
        rows = matrix[::-1, ::-1] + 0.0  # -0.0 + 0.0 is 0.0
        return Geometry(tuple(size[::-1]), _three(spacing[::-1]), _three(origin[::-1]), _direction(rows))  # pyright: ignore[reportArgumentType]

    @property
    def direction_xyz(self) -> Float[np.ndarray, "3 3"]:
        """The direction in the order of ITK and DICOM: rows and columns in (x, y, z), world LPS."""
        return np.asarray(self.direction, dtype=float)[::-1, ::-1].copy()

    @property
    def affine(self) -> Float[np.ndarray, "4 4"]:
        """Index (z, y, x, 1) to world (z, y, x, 1) in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction) * np.asarray(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def inverse_affine(self) -> Float[np.ndarray, "4 4"]:
        """World (z, y, x, 1) in mm to index."""
        return np.linalg.inv(self.affine)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))

    @property
    def extent_mm(self) -> Float3:
        """Edge lengths of the grid, from the outer face of the first voxel to the outer face of the last."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    @property
    def box(self) -> Box:
        """The whole grid as a box."""
        return Box((0, 0, 0), self.shape)

    def index_map(self, other: "Geometry") -> Float[np.ndarray, "4 4"]:
        """Indices of this grid to (fractional) indices of another that shares the world."""
        return other.inverse_affine @ self.affine

    def same_grid(self, other: "Geometry", tolerance: float = 1e-2) -> bool:
        """Whether both grids have the same shape and voxel positions equal within `tolerance` voxel edge lengths."""
        if self.shape != other.shape:
            return False
        corners = np.array([[z, y, x, 1] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=float)
        corners[:, :3] *= np.asarray(self.shape) - 1
        moved = corners @ self.index_map(other).T
        return bool(np.abs(moved - corners).max() <= tolerance)

    def cropped(self, box: Box) -> "Geometry":
        """The grid of a box of voxels; the box may reach past this grid (padding)."""
        origin = self.affine @ np.array([*box.start, 1.0])
        return replace(self, shape=box.shape, origin_mm=_three(origin[:3]))

    def flipped(self, axis: int) -> "Geometry":
        """The same voxels of the world with one index reversed."""
        last = np.zeros(4)
        last[axis], last[3] = self.shape[axis] - 1, 1.0
        matrix = np.asarray(self.direction, dtype=float).copy()
        matrix[:, axis] *= -1
        return replace(self, origin_mm=_three((self.affine @ last)[:3]), direction=_direction(matrix))

    def with_shape(self, shape: Index3) -> "Geometry":
        """A grid of another shape with the same outer faces in the world."""
        spacing = np.asarray(self.extent_mm) / np.asarray(shape)
        shift = 0.5 * (spacing - np.asarray(self.spacing_mm))
        origin = np.asarray(self.origin_mm) + np.asarray(self.direction) @ shift
        return replace(self, shape=shape, spacing_mm=_three(spacing), origin_mm=_three(origin))

    def with_spacing(self, spacing_mm: Float3) -> "Geometry":
        """A grid of this spacing with the same outer corner of voxel (0, 0, 0), large enough to hold this one."""
        # the epsilon keeps 200 mm / 2 mm at 100 voxels when the quotient is 100.0000001
        z, y, x = (max(1, int(np.ceil(e / s - 1e-6))) for e, s in zip(self.extent_mm, spacing_mm, strict=True))
        shift = 0.5 * (np.asarray(spacing_mm) - np.asarray(self.spacing_mm))
        origin = np.asarray(self.origin_mm) + np.asarray(self.direction) @ shift
        return replace(self, shape=(z, y, x), spacing_mm=spacing_mm, origin_mm=_three(origin))


def _three(values: Iterable[float]) -> Float3:
    """A row of three as plain floats."""
    z, y, x = (float(v) for v in values)
    return z, y, x


def _direction(matrix: np.ndarray) -> Direction:
    """A 3 x 3 matrix as plain floats."""
    return _three(matrix[0]), _three(matrix[1]), _three(matrix[2])
