"""DeepLabv3 and DeepLabv3+ on a published backbone, for images in two dimensions.

Chen, Papandreou, Schroff, Adam 2017 (arXiv 1706.05587): parallel dilated convolutions and the mean of the whole image
see objects of many sizes. Chen, Zhu, Papandreou, Schroff, Adam 2018 (arXiv 1802.02611): separable convolutions, and a
short decoder with the encoder's map at stride 4.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.backbones import build_encoder
from weakmask.networks.blocks import kaiming
from weakmask.networks.dense_blocks import padded
from weakmask.networks.depthwise import DepthwiseLayer
from weakmask.networks.reach import Reach, SegmentationNetwork
from weakmask.networks.unet import crop_far_end

WIDE, FINE = 256, 48  # channels of all new convolutions, and of the map at stride 4
FINE_STRIDE = 4


def convolution(channels: int, wide: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, batch norm and ReLU."""
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(channels, wide, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(wide), nn.ReLU(inplace=True))


def separable_convolution(channels: int, wide: int, dilation: int = 1) -> nn.Sequential:
    """A depthwise 3x3 convolution and a 1x1 convolution, then batch norm and ReLU."""
    depthwise = DepthwiseLayer(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False)
    return nn.Sequential(depthwise, *convolution(channels, wide))


class ImageMean(nn.Module):
    """The mean of each channel over the map, a 1x1 convolution with batch norm and ReLU, repeated over the map.

    A batch of one image has one value per channel, which has no variance: batch norm then uses its learned statistics.
    """

    def __init__(self, channels: int, wide: int) -> None:
        """Build the layers."""
        super().__init__()
        self.convolution = nn.Conv2d(channels, wide, 1, bias=False)
        self.batch_norm = nn.BatchNorm2d(wide)

    def forward(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide y x"]:
        """The repeated means."""
        means, norm = self.convolution(maps.mean(dim=(2, 3), keepdim=True)), self.batch_norm
        if maps.shape[0] == 1:
            means = F.batch_norm(means, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        else:
            means = norm(means)
        return F.relu(means).expand(-1, -1, *maps.shape[2:])


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 convolution, three dilated ones and the image's mean, side by side."""

    def __init__(self, channels: int, rates: Sequence[int], *, separable: bool) -> None:
        """Build the branches and the 1x1 convolution that joins them.

        Args:
            channels: Channels of the encoder's map.
            rates: Dilations of the 3x3 convolutions.
            separable: Whether the 3x3 convolutions are separable.
        """
        super().__init__()
        branches: list[nn.Module] = [convolution(channels, WIDE)]
        for rate in rates:
            wide = separable_convolution(channels, WIDE, rate) if separable else convolution(channels, WIDE, 3, rate)
            branches.append(wide)
        branches.append(ImageMean(channels, WIDE))
        self.branches = nn.ModuleList(branches)
        self.join = nn.Sequential(*convolution(len(branches) * WIDE, WIDE), nn.Dropout(0.5))

    def forward(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch 256 y x"]:
        """The joined maps."""
        return self.join(torch.cat([branch(maps) for branch in self.branches], dim=1))


class DeepLabV3(SegmentationNetwork):
    """DeepLabv3: a spatial pyramid on a map at stride 8; it returns logits of the image's size.

    Sides that are not multiples of the encoder's stride are padded with zeros at their far end and the logits cropped.
    The pyramid sees the whole image, so that an image cannot be cut into tiles.

    Attributes:
        dimensions: 2.
        out_channels: Channels of the logits.
        encoder: The backbone.
    """

    dimensions: int = 2

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        out_channels: int = 1,
        stride: int = 8,
        rates: Sequence[int] = (12, 24, 36),
    ) -> None:
        """Build the network from torch's global random state.

        Args:
            backbone: A name of `BACKBONES`.
            out_channels: Channels of the logits.
            stride: Voxels of the image per voxel of the encoder's coarsest map.
            rates: Dilations of the pyramid's 3x3 convolutions; the paper halves them at stride 16.

        Raises:
            ValueError: The backbone is unknown or has no such stride.
        """
        super().__init__()
        self.encoder = build_encoder(backbone, stride)
        self.out_channels = out_channels
        self.pyramid = SpatialPyramid(self.encoder.channels[-1], rates, separable=False)
        self.decoder = convolution(WIDE, WIDE, 3)
        self.head = nn.Conv2d(WIDE, out_channels, 1)
        for part in (self.pyramid, self.decoder, self.head):
            part.apply(kaiming)

    def forward(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch logit y x"]:
        """Logits of images with values in [0, 1], grey or RGB."""
        maps = self.encoder(padded(image, self.encoder.strides[-1]))[-1]
        return enlarged(self.head(self.decoder(self.pyramid(maps))), self.encoder.strides[-1], image)

    def reach(self) -> Reach:
        """The encoder's stride; the margin is the whole image."""
        return Reach(self.encoder.strides[-1], None)


class DeepLabV3Plus(SegmentationNetwork):
    """DeepLabv3+: a separable spatial pyramid at stride 16 and a decoder with the encoder's map at stride 4.

    Padding, tiles and attributes are as in `DeepLabV3`.
    """

    dimensions: int = 2

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        out_channels: int = 1,
        stride: int = 16,
        rates: Sequence[int] = (6, 12, 18),
    ) -> None:
        """Build the network from torch's global random state.

        Args:
            backbone: A name of `BACKBONES`.
            out_channels: Channels of the logits.
            stride: Voxels of the image per voxel of the encoder's coarsest map.
            rates: Dilations of the pyramid's 3x3 convolutions; the paper doubles them at stride 8.

        Raises:
            ValueError: The backbone is unknown or has no such stride.
        """
        super().__init__()
        self.encoder = build_encoder(backbone, stride)
        self.out_channels = out_channels
        self.fine_level = self.encoder.strides.index(FINE_STRIDE)
        self.pyramid = SpatialPyramid(self.encoder.channels[-1], rates, separable=True)
        self.fine = convolution(self.encoder.channels[self.fine_level], FINE)
        self.decoder = nn.Sequential(separable_convolution(WIDE + FINE, WIDE), separable_convolution(WIDE, WIDE))
        self.head = nn.Conv2d(WIDE, out_channels, 1)
        for part in (self.pyramid, self.fine, self.decoder, self.head):
            part.apply(kaiming)

    def forward(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch logit y x"]:
        """Logits of images with values in [0, 1], grey or RGB."""
        levels = self.encoder(padded(image, self.encoder.strides[-1]))
        fine = self.fine(levels[self.fine_level])
        coarse = F.interpolate(self.pyramid(levels[-1]), size=fine.shape[2:], mode="bilinear", align_corners=False)
        return enlarged(self.head(self.decoder(torch.cat([coarse, fine], dim=1))), FINE_STRIDE, image)

    def reach(self) -> Reach:
        """The encoder's stride; the margin is the whole image."""
        return Reach(self.encoder.strides[-1], None)


def enlarged(
    logits: Float[Tensor, "batch logit ys xs"], factor: int, image: Float[Tensor, "batch colour y x"]
) -> Float[Tensor, "batch logit y x"]:
    """Interpolate logits linearly between voxel centres and crop them to the image's size."""
    whole = F.interpolate(logits, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return crop_far_end(whole, tuple(image.shape[2:]))
