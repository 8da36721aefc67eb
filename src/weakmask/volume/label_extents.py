"""Sizes, boxes and centres of the labels of a volume that comes slab by slab."""

import numpy as np

from weakmask.volume.geometry import Box


class LabelExtents:
    """Voxels, box, centre and first voxel of every label, added up over slabs.

    Attributes:
        voxels: Of each label; index 0, the background, stays 0.
        first: The first voxel (z, y, x) of each label in raster order; -1 for labels without voxels.
    """

    def __init__(self, labels: int) -> None:
        """Start without voxels.

        Args:
            labels: The largest label.
        """
        self.voxels = np.zeros(labels + 1, np.int64)
        self.first = np.full((labels + 1, 3), -1, np.int64)
        self._low = np.full((labels + 1, 3), np.iinfo(np.int64).max, np.int64)
        self._high = np.zeros((labels + 1, 3), np.int64)
        self._sums = np.zeros((labels + 1, 3))

    def add(self, slab: np.ndarray, start: int) -> None:
        """Add a slab of labels (z, y, x) whose first plane is `start` of the volume; slabs come in order."""
        places = np.flatnonzero(slab)
        if places.size == 0:
            return
        labels = slab.reshape(-1)[places].astype(np.int64)
        at = np.stack(np.unravel_index(places, slab.shape), axis=1)
        at[:, 0] += start
        self.voxels += np.bincount(labels, minlength=len(self.voxels))
        for axis in range(3):
            np.minimum.at(self._low[:, axis], labels, at[:, axis])
            np.maximum.at(self._high[:, axis], labels, at[:, axis] + 1)
            self._sums[:, axis] += np.bincount(labels, weights=at[:, axis], minlength=len(self.voxels))
        found, index = np.unique(labels, return_index=True)
        new = self.first[found, 0] < 0
        self.first[found[new]] = at[index[new]]

    def box(self, label: int) -> Box:
        """The smallest box that holds a label.

        Raises:
            ValueError: The label has no voxels.
        """
        if self.voxels[label] == 0:
            raise ValueError(f"label {label} has no voxels")
        return Box(tuple(self._low[label].tolist()), tuple(self._high[label].tolist()))

    def centre(self, label: int) -> np.ndarray:
        """The mean position (z, y, x) of the voxels of a label; nan without voxels."""
        return self._sums[label] / self.voxels[label] if self.voxels[label] else np.full(3, np.nan)
