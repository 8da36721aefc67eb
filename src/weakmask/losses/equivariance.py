"""Equivariance: the map of a moved image is the moved map of the image.

Xie, Jacobs, Charbonnier, van Ginneken 2021 (arXiv 2105.11748), equation (2).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from weakmask.losses.region_mean import region_mean


def equivariance(
    map_of_moved: Float[Tensor, "batch 1 *space"],
    moved_map: Float[Tensor, "batch 1 *space"],
    region: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"],
) -> Float[Tensor, " batch"]:
    """Equation (2): mean of |F(A(I)) - A(F(I))| over the moved region.

    Args:
        map_of_moved: F(A(I)), the sigmoid map of the moved image.
        moved_map: A(F(I)), the moved sigmoid map of the image; the caller decides whether it has a gradient.
        region: A(region): True (or a weight in [0, 1]) inside, 0 where the move sampled outside the image.

    Returns:
        Mean absolute difference per sample, in [0, 1]; 0 for an empty region.
    """
    exact = torch.promote_types(map_of_moved.dtype, torch.float32)
    return region_mean((map_of_moved.to(exact) - moved_map.to(exact)).abs(), region)


def smooth_equivariance(
    map_of_moved: Float[Tensor, "batch 1 *space"],
    moved_map: Float[Tensor, "batch 1 *space"],
    region: Bool[Tensor, "batch 1 *space"] | Float[Tensor, "batch 1 *space"],
) -> Float[Tensor, " batch"]:
    """Equation (2) with the smooth L1 difference of the authors' released code in place of |.|.

    Maps lie in [0, 1], where smooth L1 is half the squared difference. Arguments and edges are those of `equivariance`.
    """
    exact = torch.promote_types(map_of_moved.dtype, torch.float32)
    return region_mean(F.smooth_l1_loss(map_of_moved.to(exact), moved_map.to(exact), reduction="none"), region)
