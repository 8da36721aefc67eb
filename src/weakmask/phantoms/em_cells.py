"""Cells of an electron microscopy phantom: processes that run through the stack, and distances to their membranes.

Coordinates are nanometres. A cell is the region of points nearest to one of many seeds, in coordinates that are bent
and compressed along one direction, so that cells are long in it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32
from scipy.spatial import KDTree

from weakmask.phantoms.noise import Grid, smooth_field, stream
from weakmask.volume.geometry import Float3, Index3

NM_PER_UNIT = 100.0  # the fields of `noise` repeat after 480 units
SIZE_NM = 520.0  # mean distance of the seeds
COMPRESSION = 0.35
BEND_NM, FINE_BEND_NM = 170.0, 25.0


@dataclass(frozen=True)
class Cells:
    """The cells of a stack.

    Attributes:
        number: Cell of each voxel.
        depth_nm: Distance of each voxel to the membrane of its cell.
        count: Number of seeds; not every one has a cell in the stack.
    """

    number: Int32[np.ndarray, "z y x"]
    depth_nm: Float32[np.ndarray, "z y x"]
    count: int


def unit_grid(shape: Index3, spacing_nm: Float3) -> Grid:
    """The coordinates of a stack in the units of the smooth fields; the first voxel is the origin."""
    z, y, x = (
        np.arange(n, dtype=np.float32) * np.float32(s / NM_PER_UNIT) for n, s in zip(shape, spacing_nm, strict=True)
    )
    return Grid(z[:, None, None], y[None, :, None], x[None, None, :])


def texture(seed: int, name: str, grid: Grid, length_nm: float) -> Float32[np.ndarray, "z y x"]:
    """A smooth random field of mean 0 and standard deviation 1, with hills of this width."""
    return smooth_field(seed, name, grid, length_nm / NM_PER_UNIT)


def make_cells(seed: int, grid: Grid) -> Cells:
    """The cells on a grid."""
    rng = stream(seed, "cells")
    along = rng.normal(size=3) * (1.0, 0.7, 0.7)
    along /= np.linalg.norm(along)
    squeeze = np.eye(3) - (1 - COMPRESSION) * np.outer(along, along)
    places = np.stack(np.broadcast_arrays(grid.z, grid.y, grid.x), axis=-1).reshape(-1, 3) * np.float32(NM_PER_UNIT)
    low, high = places.min(axis=0) - 2 * SIZE_NM, places.max(axis=0) + 2 * SIZE_NM
    for axis in range(3):
        places[:, axis] += BEND_NM * texture(seed, f"bend {axis}", grid, 750.0).ravel()
        places[:, axis] += FINE_BEND_NM * texture(seed, f"fine bend {axis}", grid, 170.0).ravel()
    # the sides of the box of seeds along compressed coordinates
    count = int(np.prod(high - low) * COMPRESSION / SIZE_NM**3) + 4
    seeds = low + rng.random((count, 3)) * (high - low)
    crowded = np.sin(seeds @ rng.normal(0, 0.0012, 3) + rng.uniform(0, 6)) < rng.uniform(-1.3, 1.3, count)
    seeds = seeds[crowded] if crowded.sum() > 3 else seeds
    distance, nearest = (np.asarray(one) for one in KDTree(seeds @ squeeze).query(places @ squeeze, k=2))
    depth = (distance[:, 1] - distance[:, 0]) / 2
    return Cells(
        nearest[:, 0].astype(np.int32).reshape(grid.shape), depth.astype(np.float32).reshape(grid.shape), len(seeds)
    )
