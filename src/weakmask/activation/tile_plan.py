"""The largest tiles of a scan that fit into memory; larger tiles read less in all, since each reads a margin."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from weakmask.activation.peak_memory import peak_bytes
from weakmask.errors import UserError
from weakmask.networks.reach import Reach
from weakmask.volume.geometry import Index3
from weakmask.volume.tiles import Tile, even_side, rounded_up, same_tiles, valid_tiles

GIB = 2**30
# Memory of convolution kernels besides the maps: a share and a constant, measured on the CPU for widths 4 to 32.
KERNEL_SHARE, KERNEL_GB = 0.1, 0.2


def plan_tiles(runner: nn.Module, reach: Reach, shape: Index3, memory_gb: float) -> list[Tile]:
    """As few tiles of a scan as the memory allows.

    All tiles start on the grid of the network's poolings, so the answers do not depend on the number of tiles.

    Args:
        runner: The network or its inference form, with `dimensions`; a 2-D one takes the scan's slices as a batch.
        reach: The network's.
        shape: The scan's, in voxels.
        memory_gb: For the feature maps of one tile, in GiB; the maps are counted in the type of the weights.

    Raises:
        UserError: Not even the smallest tile fits.
    """
    flat = runner.dimensions == 2  # slices have no neighbours along z, and no grid
    through, within = _margin(reach.along(0)), _margin(reach)
    margins = (0 if flat else through, within, within)
    grid = (1 if flat else reach.along(0).multiple, reach.multiple, reach.multiple)
    leasts = (0 if flat else reach.smallest, reach.smallest, reach.smallest)
    bare = copy.deepcopy(runner).to("meta")
    dtype = next(bare.parameters()).dtype

    def need_gb(cuts: Sequence[Cut]) -> float:
        """The memory that a part of these cuts needs, in GiB."""
        z, y, x = (cut.read for cut in cuts)
        batch = (z, 1, y, x) if flat else (1, 1, z, y, x)
        return (1 + KERNEL_SHARE) * peak_bytes(bare, batch, dtype) / GIB + KERNEL_GB

    along = zip(shape, grid, leasts, margins, strict=True)
    ways = [_ways_to_cut(*axis, clipped=not reach.valid_loss) for axis in along]
    if reach.margin is None:  # each voxel sees the whole image: only slices of a 2-D network can be separated
        ways = [way if flat and axis == 0 else way[:1] for axis, way in enumerate(ways)]
    z, y, x = (cut.side for cut in _fewest_cuts(ways, need_gb, memory_gb))
    if reach.valid_loss:
        return valid_tiles(shape, (z, y, x), margins, grid, leasts)
    return same_tiles(shape, (z, y, x), margins, grid)


def _margin(reach: Reach) -> int:
    """Voxels that a tile reads on each side of those it writes."""
    return reach.valid_loss // 2 if reach.valid_loss else rounded_up(reach.margin or 0, reach.multiple)


@dataclass(frozen=True)
class Cut:
    """An axis cut into `count` tiles that write `side` voxels and read `read`."""

    count: int
    side: int
    read: int


def _ways_to_cut(n: int, grid: int, least: int, margin: int, *, clipped: bool) -> list[Cut]:
    """Ways to cut an axis, from one tile to the smallest ones; each reads less than the one before it."""
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
    """Cut repeatedly along the axis with the best `_worth` until a tile fits into memory."""
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
                f"{memory_gb:.3g} GB of memory are too few for this network: its smallest tile, {sides} voxels, needs "
                f"{need:.2g} GB; set more memory, or use float16 or bfloat16"
            )
        chosen[worth.index(max(worth))] += 1


def _worth(way: Sequence[Cut], k: int) -> float:
    """Reduction of a tile by the next cut, relative to the additional reading; below 0 if there is no next cut."""
    if k + 1 == len(way):
        return -1.0
    now, then = way[k], way[k + 1]
    more = math.log(then.count * then.read / (now.count * now.read))
    return math.inf if more <= 0 else math.log(now.read / then.read) / more
