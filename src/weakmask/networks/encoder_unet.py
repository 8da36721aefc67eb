"""A U-Net whose encoder is a published backbone, for images in two dimensions.

Ronneberger, Fischer, Brox 2015 (arXiv 1505.04597), with the decoder that WSMIS takes: maps are doubled by repeating
voxels, the encoder's map of that size is concatenated, and two 3x3 convolutions follow.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.backbones import build_encoder
from weakmask.networks.blocks import convolution_pair, kaiming
from weakmask.networks.dense_blocks import padded
from weakmask.networks.reach import Reach, SegmentationNetwork, Span
from weakmask.networks.unet import crop_far_end

WIDTHS = (256, 128, 64, 32, 16)


class EncoderUNet(SegmentationNetwork):
    """A U-Net on a backbone; it returns logits of the image's size.

    Sides that are not multiples of the encoder's stride are padded with zeros at their far end and the logits cropped.

    Attributes:
        dimensions: 2.
        out_channels: Channels of the logits.
        encoder: The backbone.
        decoder: The pairs of convolutions, coarsest first.
        head: The last 3x3 convolution.
    """

    dimensions: int = 2

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        out_channels: int = 1,
        stride: int = 32,
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        """Build the network from torch's global random state.

        Args:
            backbone: A name of `BACKBONES`.
            out_channels: Channels of the logits.
            stride: Voxels of the image per voxel of the encoder's coarsest map.
            widths: Channels after each step of the decoder, coarsest first. Each step takes the next finer map of the
                encoder; after the finest, one more step doubles the maps to the image's size. With fewer widths than
                steps the logits are interpolated linearly; surplus widths are not used.

        Raises:
            ValueError: The backbone is unknown or has no such stride, or there is no width.
        """
        super().__init__()
        if not widths:
            raise ValueError("a U-Net needs the width of at least one step of its decoder")
        self.encoder = build_encoder(backbone, stride)
        self.out_channels = out_channels
        # of each step: the channels that it concatenates, the stride that it ends with
        skips = [*zip(self.encoder.channels, self.encoder.strides, strict=True)][-2::-1]
        steps = [*skips, *([(0, 1)] if self.encoder.strides[0] > 1 else [])][: len(widths)]
        below, coarse = self.encoder.channels[-1], self.encoder.strides[-1]
        pairs, self.factors = [], []
        for (skip, fine), width in zip(steps, widths, strict=False):
            pairs.append(convolution_pair(2, below + skip, (width, width), padding=1))
            self.factors.append(coarse // fine)
            below, coarse = width, fine
        self.decoder = nn.ModuleList(pairs)
        self.rest = coarse
        self.head = nn.Conv2d(below, out_channels, 3, padding=1)
        self.decoder.apply(kaiming)
        self.head.apply(kaiming)

    def forward(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch logit y x"]:
        """Logits of images with values in [0, 1], grey or RGB."""
        maps, *skips = reversed(self.encoder(padded(image, self.encoder.strides[-1])))
        for number, (pair, factor) in enumerate(zip(self.decoder, self.factors, strict=True)):
            if factor > 1:
                maps = F.interpolate(maps, scale_factor=float(factor), mode="nearest")
            maps = pair(torch.cat([maps, skips[number]], dim=1) if number < len(skips) else maps)
        logits = self.head(maps)
        if self.rest > 1:
            logits = F.interpolate(logits, scale_factor=float(self.rest), mode="bilinear", align_corners=False)
        return crop_far_end(logits, tuple(image.shape[2:]))

    def reach(self) -> Reach:
        """The encoder's stride and the margin; squeeze-and-excitation sees the whole image."""
        stride = self.encoder.strides[-1]
        if self.encoder.sees_whole_image:
            return Reach(stride, None)
        block = Span(0, stride - 1)
        seen = block.linear_enlargement(self.rest).convolutions(1)
        for factor in reversed(self.factors):
            seen = seen.convolutions(2).repetition(factor)
        return Reach(stride, self.encoder.read_by(seen).beyond(block))
