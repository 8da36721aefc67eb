"""The class-boundary branch of IRNet (Ahn, Cho, Kwak 2019, arXiv 1904.05044), on the features of any backbone.

The branch of displacements, which IRNet trains beside it, serves instances only and is left out: neither IRNet's nor
WSMIS's semantic masks use it, and on a frozen backbone it cannot change the boundary.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 32
GROUPS = 4  # of 8 channels each, that are normalised together


class BoundaryNet(nn.Module):
    """Each level of the features is squeezed to 32 channels and enlarged to one grid; a 1x1 convolution joins them."""

    def __init__(self, channels: Sequence[int]) -> None:
        """Build the branch.

        Args:
            channels: Channels of each level of the features, finest first.
        """
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(many, WIDTH, 1, bias=False), nn.GroupNorm(GROUPS, WIDTH), nn.ReLU())
            for many in channels
        )
        self.join = nn.Conv2d(WIDTH * len(channels), 1, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Float[Tensor, "batch 1 *grid"]:
        """Logits of a class boundary.

        Args:
            features: The levels (batch, feature, y, x), in the order of `channels`; each has its own grid.
            size: Of the grid, in pixels: a quarter of the image's in IRNet.
        """
        squeezed = [level(maps) for level, maps in zip(self.levels, features, strict=True)]
        enlarged = [F.interpolate(maps, size=list(size), mode="bilinear", align_corners=False) for maps in squeezed]
        return self.join(torch.cat(enlarged, dim=1))
