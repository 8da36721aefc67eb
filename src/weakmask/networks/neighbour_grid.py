"""Nearest neighbours of all voxels of a grid, as views of the flattened grid.

In a flattened grid a neighbour lies at a fixed distance, so for a run of whole rows the neighbours of all its voxels
are overlapping views of one piece of memory: nothing is gathered or padded. At the border such a view continues into
the next row or plane; `forbid` excludes these voxels.

    grid = NeighbourGrid.of(torch.Size((80, 80, 80)))   # 19 neighbours, including the voxel itself
    for start, stop in grid.runs(8192):
        windows = grid.windows(grid.slab(values, start, stop))
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class NeighbourGrid:
    """Neighbours in a 3 x 3 window (pictures) or a 3 x 3 x 3 window without corners (volumes: connectivity 2).

    Attributes:
        planes: 1 for a picture.
        height: Rows of a plane.
        width: Voxels of a row.
        flat: Whether the grid is a picture, whose plane has no neighbouring planes.
    """

    planes: int
    height: int
    width: int
    flat: bool

    @classmethod
    def of(cls, space: torch.Size) -> "NeighbourGrid":
        """The grid of a picture (height, width) or a volume (depth, height, width)."""
        return cls(1, *space, flat=True) if len(space) == 2 else cls(*space, flat=False)

    @property
    def families(self) -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
        """The neighbours as arrays with two indices: distance of the first, counts, and steps along both indices.

        The voxel's own plane (3 x 3); the rows directly above and below in the next planes (2 x 3); the two remaining
        columns of these planes (2 x 2).
        """
        plane, row = self.height * self.width, self.width
        same = (-row - 1, (3, 3), (row, 1))
        if self.flat:
            return [same]
        return [same, (-plane - row, (2, 3), (2 * plane, row)), (-plane - 1, (2, 2), (2 * plane, 2))]

    @cached_property
    def distances(self) -> list[int]:
        """Distance of each neighbour in the flattened grid, in the order of the families."""
        return [
            first + i * step_i + j * step_j
            for first, (count_i, count_j), (step_i, step_j) in self.families
            for i in range(count_i)
            for j in range(count_j)
        ]

    @property
    def reach(self) -> int:
        """The largest distance."""
        return max(self.distances)

    def runs(self, voxels: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of runs of whole rows, of about `voxels` voxels each."""
        rows, total = max(1, voxels // self.width), self.planes * self.height
        for row in range(0, total, rows):
            yield row * self.width, min(row + rows, total) * self.width

    def slab(self, flat: Float[Tensor, "channel voxel"], start: int, stop: int) -> Float[Tensor, "channel slab"]:
        """Voxels from `start` to `stop` and `reach` more on both sides: a view, or a copy padded with zeros."""
        low, high, end = start - self.reach, stop + self.reach, flat.shape[1]
        if low >= 0 and high <= end:
            return flat[:, low:high]
        return F.pad(flat[:, max(low, 0) : high], (max(-low, 0), max(high - end, 0)))

    def windows(self, slab: Float[Tensor, "channel slab"]) -> list[Float[Tensor, "channel _ _ run"]]:
        """Neighbours in each family of the voxels of a slab's run; the views overlap, so they are read-only."""
        voxels, start = slab.shape[1] - 2 * self.reach, slab.storage_offset() + self.reach
        return [
            slab.as_strided((len(slab), *counts, voxels), (slab.stride(0), *steps, 1), start + first)
            for first, counts, steps in self.families
        ]

    def split(self, neighbours: Float[Tensor, "neighbour run"]) -> list[Float[Tensor, "_ _ run"]]:
        """Split values of all neighbours into one view for each family."""
        counts = [counts for _, counts, _ in self.families]
        parts = neighbours.split([i * j for i, j in counts])
        return [part.unflatten(0, count) for part, count in zip(parts, counts, strict=True)]

    def forbid(self, logits: Float[Tensor, "neighbour run"], start: int, *, itself: bool) -> None:
        """Set the logits of neighbours outside the grid, and optionally of the voxel itself, to minus infinity.

        Args:
            logits: Logits of the neighbours of a run of whole rows.
            start: The run's first voxel.
            itself: Whether the voxel itself is excluded.
        """
        families = [family.unflatten(-1, (-1, self.width)) for family in self.split(logits)]
        first = start // self.width
        top = slice(-first % self.height, None, self.height)
        bottom = slice((self.height - 1 - first) % self.height, None, self.height)
        same = families[0]
        outside = [same[:, 0, :, 0], same[:, 2, :, -1], same[0, :, top], same[2, :, bottom]]
        if itself:
            outside.append(same[1, 1])
        if not self.flat:
            straight, aside = families[1:]
            outside += [straight[:, 0, top], straight[:, 2, bottom], aside[:, 0, :, 0], aside[:, 1, :, -1]]
            first_plane = slice(max(0, self.height - first))
            last_plane = slice(max(0, (self.planes - 1) * self.height - first), None)
            for family in (straight, aside):
                outside += [family[0, :, first_plane], family[1, :, last_plane]]
        for part in outside:
            part.fill_(-math.inf)
