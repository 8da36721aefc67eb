"""Connected components of a mask that comes slab by slab, equal to those of one pass.

Each slab is labelled alone. Labels on the two planes beside a slab border that touch are joined. A second walk over the
slabs repeats the labelling, which gives the same numbers, and looks up the joined ones, so that no labels are kept.
"""

import itertools

import cc3d
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from weakmask.refinement.components import Neighbours

_REACH = {6: 0, 18: 1, 26: 2}  # how many of y and x may change across a slab border
Labels = np.ndarray


class SlabComponents:
    """The components of one mask; slabs are added in order, then looked up in order."""

    def __init__(self, neighbours: Neighbours) -> None:
        """Start without slabs.

        Args:
            neighbours: Connectivity of voxels: across faces (6), also edges (18), also corners (26).
        """
        self.neighbours: Neighbours = neighbours
        self._offsets: list[int] = [0]
        self._last: Labels | None = None
        self._joined: list[np.ndarray] = []

    def add(self, mask: np.ndarray) -> Labels:
        """Label the next slab.

        Args:
            mask: bool (z, y, x).

        Returns:
            Provisional labels, numbered on from the slab before; 0 outside the mask.
        """
        labels, count = self._labelled(mask, self._offsets[-1])
        if self._last is not None:
            self._joined.append(self._touching(self._last, labels[0]))
        self._last = labels[-1].copy()
        self._offsets.append(self._offsets[-1] + count)
        return labels

    def finish(self) -> np.ndarray:
        """The component of every provisional label, 0 for 0; numbered by their first voxels in raster order."""
        count = self._offsets[-1]
        pairs = np.concatenate([*self._joined, np.zeros((0, 2), np.int64)])
        graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count + 1, count + 1))
        _, group = connected_components(graph, directed=False)
        _, first, place = np.unique(group, return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))  # the group of 0 comes first, with rank 0
        return rank[place.reshape(-1)]

    def again(self, mask: np.ndarray, slab: int) -> Labels:
        """The provisional labels of a slab that has been added before.

        Args:
            mask: As it was added.
            slab: Its number, from 0.
        """
        return self._labelled(mask, self._offsets[slab])[0]

    def _labelled(self, mask: np.ndarray, offset: int) -> tuple[Labels, int]:
        labels, count = cc3d.connected_components(
            mask, connectivity=self.neighbours, return_N=True, binary_image=True, out_dtype=np.uint32
        )
        if offset:
            labels[labels > 0] += np.uint32(offset)
        return labels, int(count)

    def _touching(self, before: Labels, after: Labels) -> np.ndarray:
        """The pairs of labels on two planes that touch."""
        found = [np.zeros((0, 2), np.int64)]
        rows, columns = before.shape
        for y, x in itertools.product((-1, 0, 1), repeat=2):
            if abs(y) + abs(x) > _REACH[self.neighbours]:
                continue
            one = before[max(0, y) : rows + min(0, y), max(0, x) : columns + min(0, x)]
            other = after[max(0, -y) : rows - max(0, y), max(0, -x) : columns - max(0, x)]
            both = (one > 0) & (other > 0)
            found.append(np.unique(np.stack([one[both], other[both]], axis=1).astype(np.int64), axis=0))
        return np.unique(np.concatenate(found), axis=0)
