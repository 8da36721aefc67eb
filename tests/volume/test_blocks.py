"""Blocks cover a volume once, keep their size, and follow the parts that are packed together."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from weakmask.volume.blocks import blocks_of


@pytest.mark.parametrize(
    ("shape", "chunks", "most", "multiple", "first"),
    [
        ((9, 20, 30), None, 1200, 1, (2, 20, 30)),  # whole sections
        ((9, 20, 30), None, 100, 1, (1, 3, 30)),  # a section is too large
        ((9, 20, 30), None, 1, 1, (1, 1, 30)),
        ((9, 20, 30), (4, 8, 8), 600, 1, (4, 8, 16)),
        ((9, 20, 30), (4, 8, 8), 1, 1, (4, 8, 8)),  # a packed part is read as a whole
        ((9, 20, 30), (1, 20, 30), 1800, 1, (3, 20, 30)),
        ((9, 20, 30), (1, 1, 30), 100, 4, (1, 4, 32)),
        ((9, 20, 30), (64, 64, 64), 1 << 22, 1, (9, 20, 30)),
    ],
)
def test_blocks_cover_a_volume_once(shape: Any, chunks: Any, most: int, multiple: int, first: tuple[int, ...]):
    volume: Any = SimpleNamespace(shape=shape, chunks=chunks)
    seen, blocks = np.zeros(shape, int), list(blocks_of(volume, most, multiple))
    for block in blocks:
        seen[block] += 1
    assert (seen == 1).all()
    assert seen[blocks[0]].shape == tuple(np.minimum(first, shape))
    assert all(part.start % multiple == 0 for block in blocks for part in block[1:])
