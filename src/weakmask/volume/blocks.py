"""Blocks of a volume on the disk that are read at a time, along the borders of the parts that are packed together."""

import itertools
from collections.abc import Iterator

from weakmask.volume.label_pairs import SLAB_VOXELS, Planes

Slices = tuple[slice, slice, slice]


def blocks_of(volume: Planes, most: int = SLAB_VOXELS, multiple: int = 1) -> Iterator[Slices]:
    """Blocks that cover a volume, each voxel once; no packed part is in two blocks, unless the multiple asks for it.

    Args:
        volume: (z, y, x); `chunks`, if it has such an attribute, is the shape of its packed parts. Else it is cut into
            slabs, as far as sections allow.
        most: Voxels of a block. A packed part may have more; without packed parts, a row.
        multiple: Blocks begin at multiples of it along y and x.
    """
    shape = tuple(int(n) for n in volume.shape)
    chunks = getattr(volume, "chunks", None) or (1, 1, shape[2])
    one = [min(int(part), n) for part, n in zip(tuple(chunks)[-3:], shape, strict=True)]
    sides = [one[0], *(-(-side // multiple) * multiple for side in one[1:])]
    for axis in (2, 1, 0):  # rows first, so that what lies in a row is read in a row
        others = sides[(axis + 1) % 3] * sides[(axis + 2) % 3]
        sides[axis] *= max(1, min(-(-shape[axis] // sides[axis]), most // (others * sides[axis])))
    along = [[slice(a, min(a + side, n)) for a in range(0, n, side)] for n, side in zip(shape, sides, strict=True)]
    return itertools.product(along[0], along[1], along[2])
