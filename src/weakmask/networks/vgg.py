"""VGG16 with batch norm and torchvision's parameter names, at stride 16 or in the WSMIS paper's form at stride 8.

Simonyan, Zisserman 2015 (arXiv 1409.1556). Viniavskyi, Dobko, Dobosevych 2020 (WSMIS) replace the pooling after block 4
by one of stride 1, dilate block 5, leave the last pooling out and add three convolutions before the average.
"""

import math
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import kaiming
from weakmask.networks.encoder import Encoder

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
WIDE = 512


class VGG16(Encoder):
    """VGG16 with batch norm as an encoder: 14.7 million parameters, and 7.1 in the three added convolutions."""

    spare: tuple[str, ...] = ("classifier.",)
    new: ClassVar[tuple[str, ...]] = ("added.",)
    channels: tuple[int, ...] = tuple(widths[-1] for widths in BLOCKS)

    def __init__(self, stride: int = 8) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            stride: Voxels of the image per voxel of the coarsest map: 8 (WSMIS) or 16 (the published network without
                its last pooling).

        Raises:
            ValueError: The stride is neither 8 nor 16.
        """
        super().__init__()
        if stride not in {8, 16}:
            raise ValueError(f"the stride of VGG16 must be 8 or 16, not {stride}")
        layers: list[nn.Module] = []
        self.level_ends: list[int] = []
        channels = 3
        for number, widths in enumerate(BLOCKS):
            finer = number == len(BLOCKS) - 1 and stride == 8
            if number:
                layers.append(nn.MaxPool2d(3, 1, padding=1) if finer else nn.MaxPool2d(2))
            for width in widths:
                dilation = 2 if finer else 1
                layers.append(nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation))
                layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
            self.level_ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        self.added = nn.Sequential()
        self.last_channels = channels
        self.strides = tuple(min(2**number, stride) for number in range(len(BLOCKS)))
        self.apply(kaiming)

    def levels(self) -> list[list[nn.Module]]:
        """The five blocks; each begins with the pooling before it."""
        layers = list(self.features)
        return [layers[start:end] for start, end in zip((0, *self.level_ends), self.level_ends, strict=False)]

    def add_last_layers(self) -> None:
        """Build three convolutions with ReLU, from N(0, 2 / (9 * 512)) as in the WSMIS authors' code."""
        convolutions = [nn.Conv2d(WIDE, WIDE, 3, padding=1) for _ in range(3)]
        for convolution in convolutions:
            nn.init.normal_(convolution.weight, std=math.sqrt(2 / (9 * WIDE)))
            nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType] - it has one
        self.added = nn.Sequential(*(layer for one in convolutions for layer in (one, nn.ReLU(inplace=True))))

    def last(self, maps: Float[Tensor, "batch 512 y x"]) -> Float[Tensor, "batch 512 y x"]:
        """The maps after the added convolutions, or with `add_last_layers` not called the maps themselves."""
        return self.added(maps)
