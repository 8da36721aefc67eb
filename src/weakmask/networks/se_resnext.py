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
from weakmask.networks.encoder import Encoder
from weakmask.networks.resnet import STEM, WIDES, Bottleneck, residual_layers

GROUPS, REDUCTION = 32, 16


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


class SEResNeXt50(Encoder):
    """SE-ResNeXt50 32x4d as an encoder: 25.5 million parameters, 27.6 with the published classification layer.

    With a smaller stride, the means of squeeze-and-excitation are over a finer map; the published weights still fit,
    but the maps are not those of stride 32 on a finer grid.
    """

    linear_name: ClassVar[str] = "last_linear"
    spare: tuple[str, ...] = ("last_linear.",)
    sees_whole_image: ClassVar[bool] = True
    channels: tuple[int, ...] = (STEM, *WIDES)

    def __init__(self, stride: int = 32) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            stride: Voxels of the image per voxel of the coarsest map: 32, 16 or 8.

        Raises:
            ValueError: The stride is not 8, 16 or 32.
        """
        super().__init__()
        stem = [("conv1", nn.Conv2d(3, STEM, 7, 2, padding=3, bias=False)), ("bn1", nn.BatchNorm2d(STEM))]
        self.layer0 = nn.Sequential(OrderedDict[str, nn.Module]([*stem, ("relu1", nn.ReLU(inplace=True))]))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_layers(_block, stride)
        self.last_channels = WIDES[-1]
        self.strides = tuple(min(s, stride) for s in (2, 4, 8, 16, 32))
        self.apply(kaiming)

    def levels(self) -> list[list[nn.Module]]:
        """The first convolution, then the four layers; the pooling comes before the first of them."""
        return [[self.layer0], [self.pool, self.layer1], [self.layer2], [self.layer3], [self.layer4]]


def _block(channels: int, wide: int, stride: int, dilation: int) -> Bottleneck:
    block = Bottleneck(channels, wide, 2, stride, dilation, GROUPS)
    block.se_module = SqueezeExcitation(wide)
    return block
