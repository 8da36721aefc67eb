"""PDV-Net: a dense V-Net with three outputs, coarse to fine, each refining the one before.

Imran, Hatamizadeh, Ananth, Ding, Tajbakhsh, Terzopoulos 2019, "Fast and automatic segmentation of pulmonary lobes from
chest CT using a progressive dense V-network", arXiv 1902.06362, section 2.
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

SCALES = 3  # a half, a quarter and an eighth of the image's size


class PDVNet(SegmentationNetwork):
    """PDV-Net; returns logits of the image's size. Sides are padded with zeros to multiples of 8 inside.

    Three dense blocks work at a half, a quarter and an eighth of the size. A compression (3x3x3, stride 2, half the
    channels) precedes each block but the first, and a skip convolution follows each. The first output is computed from
    the coarsest skip. Each finer output adds a correction to the one before it, computed from its own skip and the
    coarser ones. Each output is supervised.

    The paper prints growth 4, 6, 8; public code has 4, 8, 16. The paper gives neither the widths of the skips (this
    network uses those of dense V-Net: 12, 24, 24) nor the way an output enters the next one (this network adds it to
    the next output and also concatenates it with the features).
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 6,
        kernels: int = 24,
        growth: Sequence[int] = (4, 6, 8),
        layers: Sequence[int] = (5, 10, 10),
        dropout: float = 0.2,
    ) -> None:
        """Build the network from torch's global random state.

        Args:
            in_channels: Channels of the image.
            out_channels: Number of classes, including the background.
            kernels: Kernels k of the first convolution; the skip convolutions have k/2, k and k.
            growth: Channels that one layer adds, for each of the three blocks.
            layers: Number of layers of each of the three blocks.
            dropout: Probability that a layer's channel is set to zero in training (the paper names no rate).
        """
        super().__init__()
        self.dimensions, self.out_channels, self.layers = 3, out_channels, tuple(layers)
        self.stem = HalvingStem(in_channels, kernels)
        widths = (max(kernels // 2, 1), kernels, kernels)
        blocks, skips, compressions, heads = [], [], [], []
        channels = self.stem.out_channels
        for level in range(SCALES):
            if level:
                compressions.append(convolution(channels, channels // 2, stride=2))
                channels //= 2
            blocks.append(DenseBlock(channels, layers[level], growth[level], dropout))
            channels = blocks[-1].out_channels
            skips.append(convolution(channels, widths[level]))
            coarser = out_channels if level + 1 < SCALES else 0  # the output that this level refines
            heads.append(Convolution3d(sum(widths[level:]) + coarser, out_channels, 3, padding=1))
        self.blocks, self.skips = nn.ModuleList(blocks), nn.ModuleList(skips)
        self.compressions, self.heads = nn.ModuleList(compressions), nn.ModuleList(heads)

    def forward(
        self, image: Float[Tensor, "batch channel *space"], *, stages: bool = False
    ) -> Float[Tensor, "batch class *space"] | Float[Tensor, "stage batch class *space"]:
        """Logits of an image; with `stages` of all three outputs, coarse to fine. The last is the final one."""
        whole = padded(image)
        maps, features = [], self.stem(whole)
        for level, (block, skip) in enumerate(zip(self.blocks, self.skips, strict=True)):
            features = block(self.compressions[level - 1](features) if level else features)
            maps.append(skip(features))
        outputs: list[Tensor] = []
        for level in reversed(range(SCALES)):
            size = maps[level].shape[2:]
            seen = [grown_to(each, size) if coarser else each for coarser, each in enumerate(maps[level:])]
            if outputs:
                before = grown_to(outputs[-1], size)
                outputs.append(before + self.heads[level](torch.cat([*seen, torch.softmax(before, dim=1)], dim=1)))
            else:
                outputs.append(self.heads[level](torch.cat(seen, dim=1)))
        chosen = outputs if stages else outputs[-1:]
        logits = [crop_far_end(grown_to(each, whole.shape[2:]), tuple(image.shape[2:])) for each in chosen]
        return torch.stack(logits) if stages else logits[0]

    def reach(self) -> Reach:
        """The reach through all three outputs and the coarsest block, which sees farthest."""
        seen = Span(0, STRIDE - 1)
        for _ in self.heads:
            seen = seen.linear_enlargement().convolutions(1)
        return Reach(STRIDE, through_blocks(self.layers, seen.convolutions(1)).beyond(Span(0, STRIDE - 1)))
