"""Dense feature stacks: the input of every layer is the concatenation of the block's input and all earlier layers.

Huang et al. 2017 (arXiv 1608.06993); in three dimensions as in Gibson et al. 2018 (Dense V-Net) and Imran et al. 2019
(PDV-Net, arXiv 1902.06362).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import Convolution3d
from weakmask.networks.reach import Span

STRIDE = 8  # three halvings: sides are padded to multiples of it


def convolution(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm and PReLU; stride 1 keeps the size, stride 2 halves even sides."""
    return nn.Sequential(
        Convolution3d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm3d(out_channels),
        nn.PReLU(out_channels),
    )


class DenseBlock(nn.Module):
    """A dense block: 3x3x3 layers of `growth` channels, each reading the block's input and all earlier layers.

    Attributes:
        out_channels: Channels of the input plus `layers * growth`.
    """

    def __init__(self, in_channels: int, layers: int, growth: int, dropout: float = 0.0) -> None:
        """Build the layers; `dropout` is the probability that a layer's channel is set to zero in a training step."""
        super().__init__()
        self.layers = nn.ModuleList(convolution(in_channels + k * growth, growth) for k in range(layers))
        self.dropout = nn.Dropout3d(dropout)
        self.out_channels = in_channels + layers * growth

    def forward(self, features: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch dense *space"]:
        """Concatenate the features and the output of each layer."""
        for layer in self.layers:
            features = torch.cat([features, self.dropout(layer(features))], dim=1)
        return features


class HalvingStem(nn.Module):
    """First layer of both dense V-Nets: the image at half its size, concatenated with a 5x5x5 convolution of stride 2.

    Attributes:
        out_channels: Channels of the image plus the number of kernels.
    """

    def __init__(self, in_channels: int, kernels: int) -> None:
        """Build the convolution."""
        super().__init__()
        self.convolution = convolution(in_channels, kernels, kernel=5, stride=2)
        self.out_channels = in_channels + kernels

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch wide *half"]:
        """Features at half the size; sides must be even."""
        return torch.cat([F.avg_pool3d(image, 2), self.convolution(image)], dim=1)


def padded(image: Float[Tensor, "batch channel *space"], stride: int = STRIDE) -> Float[Tensor, "batch channel *whole"]:
    """Pad the image with zeros at its far ends to multiples of the stride."""
    return F.pad(image, [amount for side in reversed(image.shape[2:]) for amount in (0, -side % stride)])


def grown_to(maps: Float[Tensor, "batch channel *space"], space: torch.Size) -> Float[Tensor, "batch channel *larger"]:
    """Interpolate maps linearly between voxel centres onto a finer grid of `space` voxels."""
    return F.interpolate(maps, size=tuple(space), mode="trilinear", align_corners=False)


def through_blocks(layers: Sequence[int], seen: Span) -> Span:
    """The voxels of the image that the coarsest of the dense blocks reads for the voxels `seen` of its output.

    Args:
        layers: Of each block, finest first. A convolution of kernel 3 and stride 2 lies before every block but the
            first, and the stem before that.
        seen: Voxels at the coarsest block's resolution.
    """
    for level in reversed(range(len(layers))):
        seen = seen.convolutions(layers[level]).halving(3 if level else 5)
    return seen
