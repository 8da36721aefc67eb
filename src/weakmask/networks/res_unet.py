"""Res-UNet-R and Res-UNet-H for mitochondria in electron microscopy.

Li, Chen, Liu, Zhang, Wang, Xiong 2021, "Advanced deep networks for 3D mitochondria instance segmentation" (arXiv
2104.07961), and the authors' released code. Both return two channels of logits: the mask of mitochondria and their
contour. z is never pooled. Sides within sections are padded to multiples of 2^(levels - 1) by zeros at the far end.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.anisotropic_blocks import (
    IN_PLANE,
    AnisotropicBlock,
    Norm,
    Padding,
    PartialConvolution3d,
    double_in_plane,
    halve_in_plane,
    same_convolution_3d,
)
from weakmask.networks.reach import Reach, SegmentationNetwork, Span
from weakmask.networks.unet import crop_far_end

WIDTHS_R, WIDTHS_H = (28, 36, 48, 64, 80), (16, 32, 48, 64, 80)
MASK, CONTOUR = 0, 1  # channels of the logits


class ResUNetR(SegmentationNetwork):
    """Res-UNet-R: one decoder for mask and contour, skip connections that are added, replicate padding.

    With the default widths it has 1,547,758 weights. With `decoders=2` mask and contour have a decoder each, which is
    Res-UNet-H as the paper describes it; the released code of that network is `ResUNetH`.
    """

    def __init__(
        self,
        widths: Sequence[int] = WIDTHS_R,
        decoders: int = 1,
        norm: Norm = "none",
        padding: Padding = "replicate",
        *,
        isotropic: bool = False,
    ) -> None:
        """Build the network with orthogonal weights from torch's global random state.

        Args:
            widths: Channels of each level, finest first.
            decoders: 1, or 2 for one per target.
            norm: Norm after each convolution but the first and the last; the authors' code has none.
            padding: Padding of all convolutions.
            isotropic: Blocks have three 3x3x3 convolutions instead of one 1x3x3 and two 3x3x3.

        Raises:
            ValueError: Fewer than two levels, or another number of decoders.
        """
        super().__init__()
        _refuse_levels(widths)
        if decoders not in {1, 2}:
            raise ValueError(f"decoders must be 1 or 2, not {decoders}")
        self.dimensions, self.out_channels = 3, 2
        self.levels, self.isotropic = len(widths) - 1, isotropic
        finest, deepest = widths[0], self.levels - 1

        def block(channels: int, width: int, *, projection: bool = False) -> AnisotropicBlock:
            """A block with the options of this network."""
            return AnisotropicBlock(channels, width, norm, padding, isotropic=isotropic, projection=projection)

        self.embedding = same_convolution_3d(1, finest, (1, 5, 5), "none", padding)
        self.top = block(finest, finest)
        self.skip = same_convolution_3d(finest, finest, IN_PLANE, norm, padding)
        self.halvings = nn.ModuleList(
            same_convolution_3d(w, w, IN_PLANE, norm, padding, halving=True) for w in widths[:-1]
        )
        self.encoder = nn.ModuleList(
            block(widths[k], widths[k + 1], projection=k == deepest) for k in range(self.levels)
        )
        self.decoders = nn.ModuleList(
            _Decoder(
                nn.ModuleList(
                    same_convolution_3d(widths[k + 1], widths[k], (1, 1, 1), norm, padding)
                    for k in reversed(range(self.levels))
                ),
                nn.ModuleList(block(widths[k], widths[k]) for k in reversed(range(self.levels))),
                same_convolution_3d(finest, 2 // decoders, (1, 5, 5), "none", padding),
                elu_first=True,
            )
            for _ in range(decoders)
        )
        self.apply(_orthogonal)

    def forward(self, image: Float[Tensor, "batch 1 z y x"]) -> Float[Tensor, "batch 2 z y x"]:
        """Logits of mask and contour."""
        maps = self.top(F.elu(self.embedding(padded_in_plane(image, 2**self.levels)), inplace=True))
        skips = [F.elu(self.skip(maps), inplace=True)]
        for halving, block in zip(self.halvings, self.encoder, strict=True):
            maps = block(F.elu(halving(maps), inplace=True))
            skips.append(maps)
        found = torch.cat([decoder(skips) for decoder in self.decoders], dim=1)
        return crop_far_end(found, tuple(image.shape[2:]))

    def reach(self) -> Reach:
        """The reach through the bottom, which sees farthest; along z nothing is pooled."""
        own = 3 if self.isotropic else 2  # 3x3x3 convolutions of a block
        along_z = Reach(1, own * (2 * self.levels + 1))
        block = Span(0, 2**self.levels - 1)
        seen = block.convolutions(1, kernel=5)
        for _ in range(self.levels):
            seen = seen.convolutions(3).linear_enlargement()
        for _ in range(self.levels):
            seen = seen.convolutions(3).halving(kernel=3)
        return Reach(2**self.levels, seen.convolutions(3).convolutions(1, kernel=5).beyond(block), along_z=along_z)


class ResUNetH(SegmentationNetwork):
    """Res-UNet-H as the released code has it: partial convolutions first, max-pooling, and two decoders.

    Mask and contour share the encoder and its skip connections. With the default widths it has 1,852,610 weights.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS_H, norm: Norm = "none", *, isotropic: bool = False) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            widths: Channels of each level, finest first.
            norm: Norm after each convolution but the first two and the last; the authors' code has none.
            isotropic: Blocks have three 3x3x3 convolutions instead of one 1x3x3 and two 3x3x3.

        Raises:
            ValueError: Fewer than two levels.
        """
        super().__init__()
        _refuse_levels(widths)
        self.dimensions, self.out_channels = 3, 2
        self.levels, self.isotropic = len(widths) - 1, isotropic
        finest = widths[0]

        def block(channels: int, width: int) -> AnisotropicBlock:
            """A block with the options of this network."""
            return AnisotropicBlock(channels, width, norm, "zeros", isotropic=isotropic)

        self.embedding = nn.ModuleList([PartialConvolution3d(1, finest), PartialConvolution3d(finest, finest)])
        self.top = block(finest, finest)
        self.encoder = nn.ModuleList(block(widths[k], widths[k + 1]) for k in range(self.levels))
        self.decoders = nn.ModuleList(
            _Decoder(
                nn.ModuleList(
                    same_convolution_3d(widths[k + 1], widths[k], (1, 1, 1), norm, "zeros")
                    for k in reversed(range(self.levels))
                ),
                nn.ModuleList(block(widths[k], widths[k]) for k in reversed(range(self.levels))),
                same_convolution_3d(finest, 1, IN_PLANE, "none", "zeros"),
                elu_first=False,
            )
            for _ in (MASK, CONTOUR)
        )
        self.apply(_kaiming)

    def forward(self, image: Float[Tensor, "batch 1 z y x"]) -> Float[Tensor, "batch 2 z y x"]:
        """Logits of mask and contour."""
        maps = padded_in_plane(image, 2**self.levels)
        for layer in self.embedding:
            maps = F.elu(layer(maps), inplace=True)
        maps = self.top(maps)
        skips = [maps]
        for block in self.encoder:
            maps = block(halve_in_plane(maps))
            skips.append(maps)
        found = torch.cat([decoder(skips) for decoder in self.decoders], dim=1)
        return crop_far_end(found, tuple(image.shape[2:]))

    def reach(self) -> Reach:
        """The reach through the bottom, which sees farthest; along z nothing is pooled."""
        own = 3 if self.isotropic else 2  # 3x3x3 convolutions of a block
        along_z = Reach(1, own * (2 * self.levels + 1) + len(self.embedding))
        block = Span(0, 2**self.levels - 1)
        seen = block.convolutions(1)
        for _ in range(self.levels):
            seen = seen.convolutions(3).linear_enlargement()
        for _ in range(self.levels):
            seen = seen.convolutions(3).halving()
        return Reach(2**self.levels, seen.convolutions(3 + len(self.embedding)).beyond(block), along_z=along_z)


class _Decoder(nn.Module):
    """One decoder: from the bottom up, a 1x1x1 convolution, enlargement, the sum with the skip connection, a block."""

    def __init__(self, narrowings: nn.ModuleList, blocks: nn.ModuleList, head: nn.Module, *, elu_first: bool) -> None:
        """Hold the layers, coarsest first.

        Args:
            narrowings: 1x1x1 convolutions. They come before the enlargement, which gives the same maps as after it.
            blocks: Blocks.
            head: The last convolution.
            elu_first: ELU after the 1x1x1 convolution (R) instead of after the sum (H).
        """
        super().__init__()
        self.narrowings, self.blocks, self.head, self.elu_first = narrowings, blocks, head, elu_first

    def forward(self, skips: Sequence[Tensor]) -> Tensor:
        """Logits of the decoder's targets, from the encoder's maps, finest first, the bottom last."""
        maps = skips[-1]
        for narrowing, block, skip in zip(self.narrowings, self.blocks, reversed(skips[:-1]), strict=True):
            narrow = narrowing(maps)
            if self.elu_first:
                maps = double_in_plane(F.elu(narrow, inplace=True)) + skip
            else:
                maps = F.elu(double_in_plane(narrow) + skip, inplace=True)
            maps = block(maps)
        return self.head(maps)


def padded_in_plane(image: Tensor, multiple: int) -> Tensor:
    """Zeros at the far end of rows and columns, up to multiples of a number."""
    y, x = (-side % multiple for side in image.shape[3:])
    return F.pad(image, [0, x, 0, y]) if y or x else image


def _refuse_levels(widths: Sequence[int]) -> None:
    if len(widths) < 2:
        raise ValueError(f"widths are {tuple(widths)}; expected two levels or more")


def _orthogonal(module: nn.Module) -> None:
    """Orthogonal weights and no bias."""
    if isinstance(module, nn.Conv3d):
        nn.init.orthogonal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _kaiming(module: nn.Module) -> None:
    """Kaiming weights and no bias."""
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
