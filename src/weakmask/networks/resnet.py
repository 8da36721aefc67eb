"""ResNet50 with the parameter names of torchvision's weight files, dilated where a finer map is needed.

He, Zhang, Ren, Sun 2016 (arXiv 1512.03385). As in torchvision, the stride of a block is in its 3x3 convolution.
"""

from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import kaiming
from weakmask.networks.encoder import Encoder, dilated

WIDES, DEPTHS = (256, 512, 1024, 2048), (3, 4, 6, 3)  # channels and number of the blocks of each layer
STEM = 64  # channels before the first layer


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, added to the input."""

    def __init__(self, channels: int, wide: int, expansion: int, stride: int, dilation: int, groups: int = 1) -> None:
        """Build the block.

        Args:
            channels: Channels of the input.
            wide: Channels of the output.
            expansion: Channels of the output per channel of the 3x3 convolution.
            stride: Stride of the 3x3 convolution.
            dilation: Dilation of the 3x3 convolution.
            groups: Groups of the 3x3 convolution.
        """
        super().__init__()
        width = wide // expansion
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.se_module: nn.Module = nn.Identity()  # squeeze-and-excitation in SE-ResNeXt
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != wide:
            self.downsample = nn.Sequential(nn.Conv2d(channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide ys xs"]:
        """The maps after the block."""
        inside = self.relu(self.bn1(self.conv1(maps)))
        inside = self.relu(self.bn2(self.conv2(inside)))
        return self.relu(self.se_module(self.bn3(self.conv3(inside))) + self.downsample(maps))


def residual_layers(block: Callable[[int, int, int, int], Bottleneck], largest: int) -> list[nn.Sequential]:
    """The four layers behind the stem, with 3, 4, 6 and 3 blocks.

    Args:
        block: (channels, wide, stride, dilation) -> a block.
        largest: Stride of the last layer: 8, 16 or 32.

    Raises:
        ValueError: The stride is another one.
    """
    layers, channels = [], STEM
    for wide, depth, (step, first, later) in zip(WIDES, DEPTHS, dilated((4, 2, 2, 2), largest), strict=True):
        # the stem and the pooling behind it have the first stride of 4
        blocks = [block(channels, wide, 1 if channels == STEM else step, first)]
        blocks += [block(wide, wide, 1, later) for _ in range(depth - 1)]
        layers.append(nn.Sequential(*blocks))
        channels = wide
    return layers


class ResNet50(Encoder):
    """ResNet50 as an encoder: 23.5 million parameters, 25.6 with the published classification layer."""

    linear_name: ClassVar[str] = "fc"
    spare: tuple[str, ...] = ("fc.",)
    channels: tuple[int, ...] = (STEM, *WIDES)

    def __init__(self, stride: int = 32) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            stride: Voxels of the image per voxel of the coarsest map: 32, 16 or 8.

        Raises:
            ValueError: The stride is not 8, 16 or 32.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_layers(_block, stride)
        self.last_channels = WIDES[-1]
        self.strides = tuple(min(s, stride) for s in (2, 4, 8, 16, 32))
        self.apply(kaiming)

    def levels(self) -> list[list[nn.Module]]:
        """The first convolution, then the four layers; the pooling comes before the first of them."""
        stem = [self.conv1, self.bn1, self.relu]
        return [stem, [self.maxpool, self.layer1], [self.layer2], [self.layer3], [self.layer4]]


def _block(channels: int, wide: int, stride: int, dilation: int) -> Bottleneck:
    return Bottleneck(channels, wide, 4, stride, dilation)
