"""ResNet50 with the parameter names of torchvision's weight files, dilated where a finer map is needed.

He, Zhang, Ren, Sun 2016 (arXiv 1512.03385). As in torchvision, the stride of a block is in its 3x3 convolution.
"""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import kaiming
from weakmask.networks.encoder import Encoder, dilated

EXPANSION = 4  # channels of a block's output per channel of its 3x3 convolution
WIDTHS, DEPTHS = (64, 128, 256, 512), (3, 4, 6, 3)


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, added to the input."""

    def __init__(self, channels: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        """Build the block.

        Args:
            channels: Channels of the input.
            width: Channels of the 3x3 convolution; the output has four times as many.
            stride: Stride of the 3x3 convolution.
            dilation: Dilation of the 3x3 convolution.
        """
        super().__init__()
        wide = EXPANSION * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != wide:
            self.downsample = nn.Sequential(nn.Conv2d(channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide ys xs"]:
        """The maps after the block."""
        inside = self.relu(self.bn1(self.conv1(maps)))
        inside = self.relu(self.bn2(self.conv2(inside)))
        return self.relu(self.bn3(self.conv3(inside)) + self.downsample(maps))


class ResNet50(Encoder):
    """ResNet50 as an encoder: 23.5 million parameters, 25.6 with the published classification layer."""

    linear_name: ClassVar[str] = "fc"
    spare: ClassVar[tuple[str, ...]] = ("fc.",)
    channels: tuple[int, ...] = (64, 256, 512, 1024, 2048)

    def __init__(self, stride: int = 32) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            stride: Voxels of the image per voxel of the coarsest map: 32, 16 or 8.

        Raises:
            ValueError: The stride is not 8, 16 or 32.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        layers, channels = [], 64
        for width, depth, (step, first, later) in zip(WIDTHS, DEPTHS, dilated((4, 2, 2, 2), stride), strict=True):
            blocks = [Bottleneck(channels, width, 1 if width == WIDTHS[0] else step, first)]
            channels = EXPANSION * width
            blocks += [Bottleneck(channels, width, dilation=later) for _ in range(depth - 1)]
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.last_channels = channels
        self.strides = tuple(min(s, stride) for s in (2, 4, 8, 16, 32))
        self.apply(kaiming)

    def levels(self) -> list[list[nn.Module]]:
        """The first convolution, then the four layers; the pooling comes before the first of them."""
        stem = [self.conv1, self.bn1, self.relu]
        return [stem, [self.maxpool, self.layer1], [self.layer2], [self.layer3], [self.layer4]]
