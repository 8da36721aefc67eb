"""A coarse map on the grid of its image, each of its values at the place that the network's strides give it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def placed(
    coarse: Float[Tensor, "batch class *coarse"],
    shape: Sequence[int],
    strides: Sequence[float],
    first: Sequence[float],
) -> Float[Tensor, "batch class *image"]:
    """Interpolate a coarse map linearly; beyond its outermost values the nearest of them holds.

    Args:
        coarse: The map.
        shape: Of the image, in voxels.
        strides: Voxels of the image between two neighbours of the map, along each axis.
        first: The voxel of the image that the map's first value lies at, along each axis.
    """
    places = [
        ((torch.arange(side, device=coarse.device, dtype=torch.float32) - start) / stride * 2 + 1) / count - 1
        for side, stride, start, count in zip(shape, strides, first, coarse.shape[2:], strict=True)
    ]  # as grid_sample counts: from -1 to 1 over the map's outer borders
    grid = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], dim=-1)
    grids = grid.expand(len(coarse), *grid.shape)
    return F.grid_sample(coarse.float(), grids, mode="bilinear", padding_mode="border", align_corners=False)
