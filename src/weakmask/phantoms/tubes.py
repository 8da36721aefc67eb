"""Drawing of many tapering tubes onto a grid, with partial volumes for thin ones.

Every tube is cut into short beads. Beads of similar radius share one block of voxel offsets, so that a whole tree takes
a few array operations and no voxel outside a bead's block is computed.
"""

import numpy as np
from jaxtyping import Float, Float32

from weakmask.phantoms.noise import Grid

THINNEST = 0.55  # voxels: thinner tubes are drawn this thick and proportionally fainter
BATCH_VOXELS = 2_000_000  # voxels computed at once; bounds the memory


def draw_capsules(
    grid: Grid, start: Float[np.ndarray, "n 3"], stop: Float[np.ndarray, "n 3"], radius: Float[np.ndarray, "n 2"]
) -> Float32[np.ndarray, "z y x"]:
    """Fraction of each voxel that is covered by tubes.

    Args:
        grid: The grid; parts of tubes outside are ignored.
        start: Starting points of the tubes in the world (z, y, x), mm.
        stop: End points; equal to `start` for a ball.
        radius: Radii in mm at both ends.

    Returns:
        Coverage in [0, 1], scaled so that a tube keeps its mass at any spacing; a tube thinner than a voxel is drawn
        one voxel wide with an intensity of its share of the cross-section.
    """
    cover = np.zeros(grid.shape, np.float32).ravel()
    spacing = np.array(grid.spacing_mm)
    length = np.linalg.norm(stop - start, axis=1)
    # beads overlap enough to look like a tube: at most a radius (or 0.7 voxels) apart
    pieces = np.maximum(1, np.ceil(length / np.maximum(radius.min(axis=1), 0.7 * spacing.min()))).astype(int)
    tube = np.repeat(np.arange(len(start)), pieces)
    first = np.concatenate([[0], np.cumsum(pieces)[:-1]])
    t0 = (np.arange(len(tube)) - first[tube]) / pieces[tube]
    direction = (stop - start)[tube]
    a = start[tube] + t0[:, None] * direction
    b = a + direction / pieces[tube][:, None]
    t_middle = t0 + 0.5 / pieces[tube]
    r = radius[tube, 0] * (1 - t_middle) + radius[tube, 1] * t_middle
    reach = np.maximum(r, THINNEST * spacing.max()) + 0.5 * np.linalg.norm(b - a, axis=1) + 0.5 * spacing.max()
    voxels = np.ceil(reach / spacing.max()).astype(int)
    for size in np.unique(voxels):
        these = np.flatnonzero(voxels == size)
        block = np.ceil(size * spacing.max() / spacing).astype(int)
        per_batch = max(1, BATCH_VOXELS // int(np.prod(2 * block + 1)))
        for at in range(0, these.size, per_batch):
            some = these[at : at + per_batch]
            _draw_batch(cover, grid, (a[some], b[some], r[some]), block)
    return cover.reshape(grid.shape)


def _draw_batch(
    cover: np.ndarray, grid: Grid, beads: tuple[np.ndarray, np.ndarray, np.ndarray], block: np.ndarray
) -> None:
    """Draw beads (a, b, r) that fit into blocks of `block` voxels around their middles; changes `cover`."""
    a, b, r = (v.astype(np.float32) for v in beads)
    origin = np.array([axis[0] for axis in grid.axes], np.float32)
    step = np.array([axis[1] - axis[0] if axis.size > 1 else 1.0 for axis in grid.axes], np.float32)
    shape = np.array(grid.shape)
    centre = np.rint((0.5 * (a + b) - origin) / step).astype(np.int64)
    near = np.all((centre > -block) & (centre < shape + block - 1), axis=1)
    a, b, r, centre = a[near], b[near], r[near], centre[near]
    if not len(r):
        return
    axis_vector = b - a
    square = np.maximum((axis_vector**2).sum(axis=1), np.float32(1e-6))
    # point minus a, split into one row per axis: (beads, offsets of that axis)
    index = [centre[:, k, None] + np.arange(-block[k], block[k] + 1) for k in range(3)]
    delta = [origin[k] + index[k].astype(np.float32) * step[k] - a[:, k, None] for k in range(3)]
    inside = [(index[k] >= 0) & (index[k] < shape[k]) for k in range(3)]

    def outer(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One row per axis, shaped so that the three broadcast to the block of each bead."""
        return rows[0][:, :, None, None], rows[1][:, None, :, None], rows[2][:, None, None, :]

    dz, dy, dx = outer([delta[k] * axis_vector[:, k, None] / square[:, None] for k in range(3)])
    along = np.clip(dz + dy + dx, 0, 1)
    gap = np.float32(0)
    for d, v in zip(outer(delta), axis_vector.T, strict=True):
        gap = gap + np.square(d - along * v[:, None, None, None])
    voxel = np.float32(np.cbrt(np.abs(step).prod()))
    drawn = np.maximum(r, np.float32(THINNEST) * voxel)
    amount = np.clip((drawn[:, None, None, None] - np.sqrt(gap)) / voxel + np.float32(0.5), 0, 1)
    # the ramp of one voxel at the edge adds voxel²/12 to the squared radius, which is corrected to keep the mass
    amount *= (np.square(r) / (np.square(drawn) + np.square(voxel) / 12))[:, None, None, None]
    oz, oy, ox = outer(inside)
    hit = (amount > 0) & oz & oy & ox
    iz, iy, ix = outer(index)
    flat = ((iz * shape[1] + iy) * shape[2] + ix)[hit]
    np.maximum.at(cover, flat, amount[hit])
