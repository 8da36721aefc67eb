"""The largest tiles of a scan that fit into memory: every tile pays for the margin around it."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from weakmask.activation.peak_memory import peak_bytes
from weakmask.errors import UserError
from weakmask.networks.unet import STRIDE, VALID_LOSS, VALID_SMALLEST
from weakmask.volume.geometry import Index3
from weakmask.volume.tiles import Tile, even_side, same_tiles, valid_tiles

LEAST = VALID_SMALLEST - VALID_LOSS  # 92 -> 4
SAME_MARGIN = (
    56  # how far outside a block that starts and ends at multiples of 8 the zero-padded U-Net looks: 54 voxels
)
GIB = 2**30
# What convolution kernels take besides the maps: a share and a little, measured on the CPU for widths 4 to 32.
KERNEL_SHARE, KERNEL_GB = 0.1, 0.2


def plan_tiles(
    runner: nn.Module,
    padding: Literal["same", "valid"],
    shape: Index3,
    memory_gb: float,
) -> list[Tile]:
    """Tiles of a scan for a U-Net of three down-samplings, as few as the memory allows.

    All tiles are on the network's grid of 8 voxels, so the answers do not depend on how many there are.

    Args:
        runner: The U-Net or its inference form, with `dimensions`; a 2-D one takes the scan's slices as a batch.
        padding: The U-Net's.
        shape: The scan's, in voxels.
        memory_gb: For one tile's feature maps, GiB. They are taken to be of the weights' type.

    Raises:
        UserError: Not even the smallest tile fits.
    """
    flat = runner.dimensions == 2  # then slices have no neighbours along z, and no grid
    valid = padding == "valid"
    margin, least = (VALID_LOSS // 2, LEAST) if valid else (SAME_MARGIN, 0)
    margins = (0 if flat else margin, margin, margin)
    grid = (1 if flat else STRIDE, STRIDE, STRIDE)
    leasts = (0 if flat else least, least, least)
    bare = copy.deepcopy(runner).to("meta")
    dtype = next(bare.parameters()).dtype

    def need_gb(cuts: Sequence[Cut]) -> float:
        z, y, x = (cut.read for cut in cuts)
        batch = (z, 1, y, x) if flat else (1, 1, z, y, x)
        return (1 + KERNEL_SHARE) * peak_bytes(bare, batch, dtype) / GIB + KERNEL_GB

    along = zip(shape, grid, leasts, margins, strict=True)
    ways = [_ways_to_cut(*axis, clipped=not valid) for axis in along]
    z, y, x = (cut.side for cut in _fewest_cuts(ways, need_gb, memory_gb))
    if valid:
        return valid_tiles(shape, (z, y, x), margins, grid, leasts)
    return same_tiles(shape, (z, y, x), margins, grid)


@dataclass(frozen=True)
class Cut:
    """An axis cut into `count` tiles that answer for `side` voxels and read `read`."""

    count: int
    side: int
    read: int


def _ways_to_cut(n: int, grid: int, least: int, margin: int, *, clipped: bool) -> list[Cut]:
    """From one tile to the smallest ones; each reads less than the one before it."""
    ways: list[Cut] = []
    for count in range(1, n // grid + 2):
        side = even_side((n, n, n), (count, 1, 1), (grid, 1, 1), (least, 0, 0))[0]
        read = min(side + 2 * margin, n) if clipped else side + 2 * margin
        if not ways or read < ways[-1].read:
            ways.append(Cut(count, side, read))
    return ways


def _fewest_cuts(
    ways: Sequence[Sequence[Cut]], need_gb: Callable[[Sequence[Cut]], float], memory_gb: float
) -> list[Cut]:
    """Cut on, along the axis where a tile gets smaller for the least that is read twice, until a tile fits."""
    chosen = [0, 0, 0]
    while True:
        cuts = [way[k] for way, k in zip(ways, chosen, strict=True)]
        need = need_gb(cuts)
        if need <= memory_gb:
            return cuts
        worth = [_worth(way, k) for way, k in zip(ways, chosen, strict=True)]
        if max(worth) < 0:
            sides = " x ".join(str(cut.side) for cut in cuts)
            raise UserError(
                f"{memory_gb:.3g} GB of memory are too few for this network: its smallest tile, {sides} voxels, takes "
                f"{need:.2g} GB; give it more, or try float16 or bfloat16"
            )
        chosen[worth.index(max(worth))] += 1


def _worth(way: Sequence[Cut], k: int) -> float:
    """How much smaller a tile gets by the next cut, over how much more is read in all; below 0 without a next one."""
    if k + 1 == len(way):
        return -1.0
    now, then = way[k], way[k + 1]
    more = math.log(then.count * then.read / (now.count * now.read))
    return math.inf if more <= 0 else math.log(now.read / then.read) / more
