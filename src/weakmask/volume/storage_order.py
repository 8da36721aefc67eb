"""The order in which a grid's voxels are stored, and exact changes from one order to another, without interpolation.

A file may store the same scan along any axis first and in either direction: LPS, RAS, LAS, coronal or sagittal slices.
Crops, interpolation, ties and random flips work along array axes, so their results depend on that order. `upright`
therefore brings every scan to one order before anything is computed, and `in_order_of` returns results to the order of
the file.
"""

from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np
from jaxtyping import Shaped

from weakmask.volume.geometry import IDENTITY, Box, Direction, Geometry, Index3
from weakmask.volume.volume import Volume

RAS: Direction = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))  # the axes of a NIfTI file with numpy.eye(4)
_PART = 1e-3  # of a voxel per voxel: the rounding of spacings and directions of a part of a grid
_DIGITS = 4  # of a cosine; directions that differ by less are ties


@dataclass(frozen=True)
class Order:
    """A permutation of array axes, and the axes that are reversed.

    Attributes:
        axes: For each new axis the old one.
        reversed: Whether the new axis runs against the old one.
    """

    axes: Index3
    reversed: tuple[bool, bool, bool]

    def turn(self, voxels: Shaped[np.ndarray, "z y x"]) -> Shaped[np.ndarray, "z y x"]:
        """The voxels in the new order, as a view without a copy."""
        z, y, x = (slice(None, None, -1 if back else 1) for back in self.reversed)
        return voxels.transpose(self.axes)[z, y, x]

    def grid(self, geometry: Geometry) -> Geometry:
        """The grid of the turned voxels, each of which keeps its place in the world."""
        z, y, x = self.axes
        shape, spacing = geometry.shape, geometry.spacing_mm
        first, second, third = ((row[z], row[y], row[x]) for row in geometry.direction)
        turned = replace(
            geometry,
            shape=(shape[z], shape[y], shape[x]),
            spacing_mm=(spacing[z], spacing[y], spacing[x]),
            direction=(first, second, third),
        )
        for axis in range(3):
            turned = turned.flipped(axis) if self.reversed[axis] else turned
        return turned


AS_STORED = Order((0, 1, 2), (False, False, False))


def nearest_order(geometry: Geometry) -> Order:
    """The order in which the axes run nearest to head, back and left; an exact tie has one answer for every order."""
    direction = np.asarray(geometry.direction)

    def likeness(order: Order) -> tuple[float, ...]:
        turned = np.round(direction[:, order.axes] * np.where(order.reversed, -1.0, 1.0), _DIGITS) + 0.0
        return float(np.round(turned.trace(), _DIGITS)), *turned.ravel().tolist()

    every = product(permutations(range(3)), product((False, True), repeat=3))
    return max((Order((z, y, x), (a, b, c)) for (z, y, x), (a, b, c) in every), key=likeness)


def upright_order(geometry: Geometry) -> Order:
    """The order of `upright` for a grid."""
    nearest = nearest_order(geometry)
    flat = [axis for axis in range(3) if geometry.shape[nearest.axes[axis]] == 1]
    if not flat:
        return nearest
    if has_no_position(geometry):
        return AS_STORED
    if flat == [0] or len(flat) > 1:
        return nearest
    across, columns = flat[0], 3 - flat[0]  # a coronal or sagittal slice; the head is up, as in a picture
    axes, back = nearest.axes, nearest.reversed
    return Order((axes[across], axes[0], axes[columns]), (back[across], not back[0], back[columns]))


def upright(volume: Volume) -> Volume:
    """The same voxels in the one order of axes that all methods compute in.

    The axes run toward head, back and left, or nearest to that in an oblique scan. A single slice comes first; its rows
    and columns run as on a radiologist's screen. A slice without a position (a picture) is not changed.

    Returns:
        The volume itself if it is in this order, else a contiguous copy; no voxel moves in the world.
    """
    order = upright_order(volume.geometry)
    if order == AS_STORED and volume.voxels.flags.c_contiguous:
        return volume
    return Volume(np.ascontiguousarray(order.turn(volume.voxels)), order.grid(volume.geometry), volume.kind)


def in_order_of(volume: Volume, grid: Geometry) -> Volume:
    """The voxels of a volume in the order in which a grid stores the same voxels.

    Args:
        volume: Any volume.
        grid: A grid whose voxel centres are those of the volume, up to rounding.

    Returns:
        The values without change, with exactly this grid.

    Raises:
        ValueError: The voxel centres differ.
    """
    to_volume = grid.index_map(volume.geometry)[:3, :3]
    z, y, x = (int(axis) for axis in np.abs(to_volume).argmax(axis=0))
    if {z, y, x} == {0, 1, 2}:
        order = Order((z, y, x), (bool(to_volume[z, 0] < 0), bool(to_volume[y, 1] < 0), bool(to_volume[x, 2] < 0)))
        if order.grid(volume.geometry).same_grid(grid):
            return Volume(np.ascontiguousarray(order.turn(volume.voxels)), grid, volume.kind)
    raise ValueError(f"different grids, {volume.geometry} and {grid}; expected the same voxels in any order")


def part_of(volume: Volume, grid: Geometry) -> Volume | None:
    """A volume that covers whole voxels of a grid, on the whole grid, with 0 around it; None if it does not.

    Segmentations leave out slices without structures (DICOM SEG), or all that lies around them (3D Slicer).

    Args:
        volume: In any order of axes.
        grid: The grid that it may be a part of.
    """
    to_grid = volume.geometry.index_map(grid)
    turn = to_grid[:3, :3]
    axes = np.abs(turn).argmax(axis=0)
    if sorted(axes.tolist()) != [0, 1, 2] or np.abs(np.abs(turn).sum(axis=0) - 1).max() > _PART:
        return None
    z, y, x = (n - 1 for n in volume.geometry.shape)
    corners = (to_grid @ np.array([[0, 0, 0, 1], [z, y, x, 1]], dtype=float).T)[:3].T
    start, stop = np.rint(corners.min(axis=0)).astype(int), np.rint(corners.max(axis=0)).astype(int) + 1
    inside = (start >= 0).all() and (stop <= np.asarray(grid.shape)).all()
    if not inside or np.abs(corners - np.rint(corners)).max() > 10 * _PART:
        return None
    box = Box((int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2])))
    voxels = np.zeros(grid.shape, volume.voxels.dtype)
    voxels[box.slices] = in_order_of(volume, grid.cropped(box)).voxels
    return Volume(voxels, grid, volume.kind)


def has_no_position(geometry: Geometry) -> bool:
    """Whether a header states no place in the patient: it begins at 0 and has the default directions of a program."""
    return geometry.origin_mm == (0.0, 0.0, 0.0) and geometry.direction in (IDENTITY, RAS)
