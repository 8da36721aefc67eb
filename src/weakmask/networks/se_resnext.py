"""SE-ResNeXt50 32x4d with the parameter names of Cadene's weight file.

Xie et al. 2017 (arXiv 1611.05431): the 3x3 convolutions have 32 groups of 4 channels. Hu et al. 2018 (arXiv
1709.01507): squeeze-and-excitation scales each channel by a number that is computed from the means of all channels.
"""

from collections import OrderedDict
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import kaiming
from weakmask.networks.encoder import Encoder, dilated

GROUPS, REDUCTION, EXPANSION = 32, 16, 2  # expansion: channels of a block's output per channel of its 3x3 convolution
WIDTHS, DEPTHS = (128, 256, 512, 1024), (3, 4, 6, 3)  # 3x3 convolutions of a layer: channels, number


class SqueezeExcitation(nn.Module):
    """Scale each channel by a number in (0, 1) that depends on the means of all channels over the map."""

    def __init__(self, channels: int) -> None:
        """Build the two 1x1 convolutions, which have biases."""
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch channel y x"]:
        """The scaled maps."""
        return maps * torch.sigmoid(self.fc2(self.relu(self.fc1(maps.mean(dim=(2, 3), keepdim=True)))))


class SqueezeExcitationBottleneck(nn.Module):
    """A 1x1, a grouped 3x3 and a 1x1 convolution with squeeze-and-excitation, added to the input."""

    def __init__(self, channels: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        """Build the block.

        Args:
            channels: Channels of the input.
            width: Channels of the 3x3 convolution; the output has twice as many.
            stride: Stride of the 3x3 convolution.
            dilation: Dilation of the 3x3 convolution.
        """
        super().__init__()
        wide = EXPANSION * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, groups=GROUPS, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.se_module = SqueezeExcitation(wide)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != wide:
            self.downsample = nn.Sequential(nn.Conv2d(channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide ys xs"]:
        """The maps after the block."""
        inside = self.relu(self.bn1(self.conv1(maps)))
        inside = self.relu(self.bn2(self.conv2(inside)))
        return self.relu(self.se_module(self.bn3(self.conv3(inside))) + self.downsample(maps))


class SEResNeXt50(Encoder):
    """SE-ResNeXt50 32x4d as an encoder: 25.5 million parameters, 27.6 with the published classification layer.

    With a smaller stride, the means of squeeze-and-excitation are over a finer map; the published weights still fit,
    but the maps are not those of stride 32 on a finer grid.
    """

    linear_name: ClassVar[str] = "last_linear"
    spare: ClassVar[tuple[str, ...]] = ("last_linear.",)
    sees_whole_image: ClassVar[bool] = True
    channels: tuple[int, ...] = (64, 256, 512, 1024, 2048)

    def __init__(self, stride: int = 32) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            stride: Voxels of the image per voxel of the coarsest map: 32, 16 or 8.

        Raises:
            ValueError: The stride is not 8, 16 or 32.
        """
        super().__init__()
        stem = [("conv1", nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)), ("bn1", nn.BatchNorm2d(64))]
        self.layer0 = nn.Sequential(OrderedDict[str, nn.Module]([*stem, ("relu1", nn.ReLU(inplace=True))]))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        layers, channels = [], 64
        for width, depth, (step, first, later) in zip(WIDTHS, DEPTHS, dilated((4, 2, 2, 2), stride), strict=True):
            blocks = [SqueezeExcitationBottleneck(channels, width, 1 if width == WIDTHS[0] else step, first)]
            channels = EXPANSION * width
            blocks += [SqueezeExcitationBottleneck(channels, width, dilation=later) for _ in range(depth - 1)]
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.last_channels = channels
        self.strides = tuple(min(s, stride) for s in (2, 4, 8, 16, 32))
        self.apply(kaiming)

    def levels(self) -> list[list[nn.Module]]:
        """The first convolution, then the four layers; the pooling comes before the first of them."""
        return [[self.layer0], [self.pool, self.layer1], [self.layer2], [self.layer3], [self.layer4]]
