"""Dense V-Net: three dense feature stacks, each connected to the output by one skip convolution.

Gibson, Giganti, Hu et al. 2018, "Automatic multi-organ segmentation on abdominal CT with dense V-networks", IEEE Trans
Med Imaging 37(8). The numbers are those of the authors' NiftyNet code.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import Convolution3d
from weakmask.networks.dense_blocks import (
    STRIDE,
    DenseBlock,
    HalvingStem,
    convolution,
    grown_to,
    padded,
    through_blocks,
)
from weakmask.networks.reach import Reach, SegmentationNetwork, Span
from weakmask.networks.unet import crop_far_end


class DenseVNet(SegmentationNetwork):
    """Dense V-Net; returns logits of the image's size. Sides are padded with zeros to multiples of 8 inside.

    The stacks work at a half, a quarter and an eighth of the image's size. The outputs of their skip convolutions are
    enlarged to half the image's size, concatenated and convolved into one logit per class.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 6,
        kernels: int = 24,
        growth: Sequence[int] = (4, 8, 16),
        layers: Sequence[int] = (5, 10, 10),
        prior: int = 0,
        dropout: float = 0.5,
    ) -> None:
        """Build the network from torch's global random state.

        Args:
            in_channels: Channels of the image.
            out_channels: Number of classes, including the background.
            kernels: Kernels k of the first convolution; the skip convolutions have k/2, k and k.
            growth: Channels that one layer adds, for each of the three stacks.
            layers: Number of layers of each of the three stacks.
            prior: Side of a learnt spatial prior, a map of logits that is stretched over the image and added (24 in the
                paper, whose images are all aligned); 0 for none.
            dropout: Probability that a layer's channel is set to zero in training.
        """
        super().__init__()
        self.dimensions, self.out_channels, self.layers = 3, out_channels, tuple(layers)
        self.stem = HalvingStem(in_channels, kernels)
        stacks, skips, downs, channels = [], [], [], self.stem.out_channels
        for level, skip in enumerate((kernels // 2, kernels, kernels)):
            if level:
                downs.append(convolution(channels, kernels, stride=2))
                channels = kernels
            stacks.append(DenseBlock(channels, layers[level], growth[level], dropout))
            channels = stacks[-1].out_channels
            skips.append(convolution(channels, skip))
        self.stacks, self.skips, self.downs = nn.ModuleList(stacks), nn.ModuleList(skips), nn.ModuleList(downs)
        self.head = Convolution3d(kernels // 2 + 2 * kernels, out_channels, 3, padding=1)
        self.prior = nn.Parameter(torch.zeros(1, out_channels, prior, prior, prior)) if prior else None

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch class *space"]:
        """Logits of an image."""
        whole = padded(image)
        features = self.stem(whole)
        finest, maps = features.shape[2:], []
        for level, (stack, skip) in enumerate(zip(self.stacks, self.skips, strict=True)):
            features = stack(self.downs[level - 1](features) if level else features)
            maps.append(grown_to(skip(features), finest))
        logits = grown_to(self.head(torch.cat(maps, dim=1)), whole.shape[2:])
        if self.prior is not None:
            logits = logits + grown_to(self.prior, logits.shape[2:])
        return crop_far_end(logits, tuple(image.shape[2:]))

    def reach(self) -> Reach:
        """The reach through the coarsest stack, which sees farthest; a prior depends on the size of the whole image."""
        if self.prior is not None:
            return Reach(STRIDE, margin=None)
        seen = Span(0, STRIDE - 1).linear_enlargement().convolutions(1).linear_enlargement(4).convolutions(1)
        return Reach(STRIDE, through_blocks(self.layers, seen).beyond(Span(0, STRIDE - 1)))
