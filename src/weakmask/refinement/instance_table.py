"""Table of instances: number, size, box, centre, score, and whether one is cut by the border of the grid."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from weakmask.volume.label_extents import LabelExtents
from weakmask.volume.label_pairs import SLAB_VOXELS, Planes, slabs_of

COLUMNS = (
    "id", "voxels", "nm3", "z_start", "y_start", "x_start", "z_stop", "y_stop", "x_stop", "z_nm", "y_nm", "x_nm",
    "score", "touches_border",
)  # fmt: skip


def instance_table(
    labels: Planes, spacing_nm: Sequence[float], score_map: Planes | None = None, slab_voxels: int = SLAB_VOXELS
) -> pd.DataFrame:
    """One row for each instance of a label volume.

    Args:
        labels: Whole numbers (z, y, x), 0 for the background; read in slabs.
        spacing_nm: Voxel size along z, y and x in nm.
        score_map: A probability map on the same grid, in [0, 1] or in 8 bits. None: no score.
        slab_voxels: Voxels read at a time.

    Returns:
        `COLUMNS`: `nm3` is the volume; the box holds the voxels from `start` up to `stop`, which is outside; `z_nm`,
        `y_nm` and `x_nm` are the centre of mass, where voxel (0, 0, 0) has its centre at 0; `score` is the mean of the
        map over the instance, in [0, 1], nan without a map; `touches_border` says that the instance reaches an outer
        face of the grid. An axis of one voxel has no faces.

    Raises:
        ValueError: The score map has another shape.
    """
    if score_map is not None and tuple(score_map.shape) != tuple(labels.shape):
        raise ValueError(f"labels and scores have shapes {tuple(labels.shape)} and {tuple(score_map.shape)}")
    most = max((int(np.asarray(labels[slab]).max()) for slab in slabs_of(labels.shape, slab_voxels)), default=0)
    extents, sums = LabelExtents(most), np.full(most + 1, np.nan if score_map is None else 0.0)
    for slab in slabs_of(labels.shape, slab_voxels):
        part = np.asarray(labels[slab])
        extents.add(part, slab.start)
        if score_map is not None:
            sums += _score_sums(part, np.asarray(score_map[slab]), most)
    rows = [_row(extents, label, sums, spacing_nm, labels.shape) for label in np.flatnonzero(extents.voxels).tolist()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _score_sums(labels: np.ndarray, scores: np.ndarray, most: int) -> np.ndarray:
    """Sum of the scores of each label, in [0, 1]."""
    inside = labels > 0
    scale = 255.0 if scores.dtype == np.uint8 else 1.0
    return np.bincount(labels[inside], weights=scores[inside] / scale, minlength=most + 1)


def _row(
    extents: LabelExtents, label: int, sums: np.ndarray, spacing_nm: Sequence[float], shape: Sequence[int]
) -> tuple[float, ...]:
    voxels, box = int(extents.voxels[label]), extents.box(label)
    along = zip(box.start, box.stop, shape, strict=True)
    touches = any(n > 1 and (start == 0 or stop == n) for start, stop, n in along)
    centre = extents.centre(label) * np.asarray(spacing_nm)
    volume = voxels * float(np.prod(spacing_nm))
    return (label, voxels, volume, *box.start, *box.stop, *centre.tolist(), float(sums[label] / voxels), touches)
