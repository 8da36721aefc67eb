"""The 3-D U-Net of the dRAM paper, and its two-dimensional form.

Xie, Jacobs, Charbonnier, van Ginneken 2021 (arXiv 2105.11748), section III-A-1 and Fig. 2 (a), after Çiçek et al. 2016.
It has three down-samplings. At base width w the channels are (w, 2w) (2w, 4w) (4w, 8w) in the encoder, (8w, 16w) at the
bottom and (8w, 8w) (4w, 4w) (2w, 2w) in the decoder, followed by a 1x1x1 convolution: 16.3 million weights at w = 32 in
three dimensions.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import (
    CONVOLUTION,
    MAX_POOL,
    convolution_pair,
    crop_to,
    double_linear,
    double_nearest,
    kaiming,
)
from weakmask.networks.reach import Reach, SegmentationNetwork, Span

LEVELS = 3
STRIDE = 2**LEVELS  # sides of a `same` network are padded to multiples of 8
PAIR_LOSS = 4  # voxels that two valid 3^d convolutions take off along each axis, both sides together
# At level k a pair takes off 4 * 2^k voxels of the image; every level but the bottom has two pairs: 88, so 132 -> 44.
VALID_LOSS = PAIR_LOSS * (2 * (STRIDE - 1) + STRIDE)
VALID_LEAST = 4  # the smallest output side of valid convolutions: 92 -> 4
VALID_SMALLEST = VALID_LOSS + VALID_LEAST


class UNet(SegmentationNetwork):
    """A U-Net that returns logits.

    With `padding="same"` the output has the input's size. Sides that are multiples of 8 are used as they are. Other
    sides are padded with zeros at their far end and the result is cropped back, so any size works, but only multiples
    of 8 are free of these zeros.

    With `padding="valid"` nothing is padded: 132 -> 44 and in general 132 + 8k -> 44 + 8k, and every output voxel
    depends on image voxels only. Such a network doubles maps by repeating voxels, not by linear interpolation, which
    needs one voxel beyond the edge of each coarse map: a tile does not have it, and 132 -> 44 leaves no room to crop
    the voxels concerned. With repeated voxels the output of a tile is exactly that part of one pass over the whole
    scan, if the tile starts at a multiple of 8 voxels (otherwise the poolings are not aligned). So tiles of 44 step by
    40, tiles of 44 + 8k by 40 + 8k, and neighbours overlap by 4. The paper says "tri-linear" for both networks and
    steps by 44, which accepts seams. The two convolutions after each doubling smooth either kind.

    Attributes:
        dimensions: 2 or 3.
        padding: "same" or "valid".
        out_channels: Channels of the logits.
    """

    def __init__(
        self,
        dimensions: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 32,
        padding: Literal["same", "valid"] = "same",
        initial_probability: float | None = None,
    ) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            dimensions: 2 or 3.
            in_channels: Channels of the image.
            out_channels: Channels of the logits.
            width: Base width w; the paper's is 32.
            padding: "same" (regression) or "valid" (context aggregation).
            initial_probability: Initial sigmoid of every output channel, in (0, 1): the 1x1x1 convolution starts with
                small weights and the logit as bias. None: Kaiming weights as in the rest of the network (the paper),
                which start around 0.5.

        Raises:
            ValueError: A value is outside its range.
        """
        super().__init__()
        if dimensions not in CONVOLUTION or padding not in {"same", "valid"}:
            raise ValueError(f"dimensions must be 2 or 3 and padding same or valid, not {dimensions} and {padding!r}")
        self.dimensions, self.out_channels = dimensions, out_channels
        self.padding: Literal["same", "valid"] = padding
        pad, w = (1 if padding == "same" else 0), width
        self.encoder = nn.ModuleList(
            convolution_pair(dimensions, channels, widths, pad)
            for channels, widths in ((in_channels, (w, 2 * w)), (2 * w, (2 * w, 4 * w)), (4 * w, (4 * w, 8 * w)))
        )
        self.pool = MAX_POOL[dimensions](2)
        self.bottom = convolution_pair(dimensions, 8 * w, (8 * w, 16 * w), pad)
        self.decoder = nn.ModuleList(
            convolution_pair(dimensions, below + skip, (skip, skip), pad)
            for below, skip in ((16 * w, 8 * w), (8 * w, 4 * w), (4 * w, 2 * w))
        )
        self.head = CONVOLUTION[dimensions](2 * w, out_channels, kernel_size=1)
        self.apply(kaiming)
        if initial_probability is not None:
            start_near(self.head, initial_probability)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch logit *output"]:
        """Logits of an image; their spatial size is `output_shape` of the image's.

        Raises:
            ValueError: `padding="valid"` and the size does not fit.
        """
        space = tuple(image.shape[2:])
        output = self.output_shape(space)
        if self.padding == "same" and any(side % STRIDE for side in space):
            # F.pad counts from the last axis; zeros at the far end shift no voxel
            image = F.pad(image, [amount for side in reversed(space) for amount in (0, -side % STRIDE)])
        logits = self.head(self.features(image))
        return crop_far_end(logits, output) if self.padding == "same" else logits

    def features(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature *output"]:
        """The decoder's last features (2w channels), before the 1x1x1 convolution; sides must be multiples of 8."""
        return self.features_and_skips(image)[0]

    def features_and_skips(
        self, image: Float[Tensor, "batch channel *space"]
    ) -> tuple[Float[Tensor, "batch feature *output"], list[Tensor]]:
        """`features` and the encoder's features before each pooling, finest first (2w, 4w, 8w channels)."""
        double = double_linear if self.padding == "same" else double_nearest
        skips: list[Tensor] = []
        maps = image
        for pair in self.encoder:
            maps = pair(maps)
            skips.append(maps)
            maps = self.pool(maps)
        maps = self.bottom(maps)
        for pair, skip in zip(self.decoder, reversed(skips), strict=True):
            maps = double(maps)
            maps = pair(torch.cat([crop_to(skip, maps.shape[2:]), maps], dim=1))
        return maps, skips

    def reach(self) -> Reach:
        """The grid of 8 voxels, the margin (54 for "same", 48 for "valid") and what valid convolutions take off."""
        return self.reach_of(Span(0, STRIDE - 1))

    def reach_of(self, seen: Span) -> Reach:
        """The reach of a network that reads the voxels `seen` of this network's output for each block of 8 voxels."""
        same = self.padding == "same"
        loss, least, padding = (0, 0, 1) if same else (VALID_LOSS, VALID_LEAST, 0)
        for _ in self.decoder:
            maps = seen.convolutions(2, padding=padding)
            seen = maps.linear_enlargement() if same else maps.repeated_doubling()
        seen = seen.convolutions(2, padding=padding)
        for _ in self.encoder:
            seen = seen.halving().convolutions(2, padding=padding)
        block = Span(loss // 2, loss // 2 + STRIDE - 1)  # where the output's block lies in the input
        return Reach(STRIDE, seen.beyond(block), loss, least)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the output for an image of `input_shape` voxels.

        Raises:
            ValueError: The shape has the wrong number of axes or an empty axis, or, with `padding="valid"`, a side
                is not 92 + 8k.
        """
        shape = tuple(int(side) for side in input_shape)
        if len(shape) != self.dimensions or min(shape) < 1:
            raise ValueError(f"a {self.dimensions}-D network takes {self.dimensions} sides of at least 1, not {shape}")
        if self.padding == "same":
            return shape
        if any(side < VALID_SMALLEST or (side - VALID_SMALLEST) % STRIDE for side in shape):
            raise ValueError(f"sides of a valid U-Net must be 92, 100, 108, ..., 132, ... voxels, not {shape}")
        return tuple(side - VALID_LOSS for side in shape)


def start_near(head: nn.Conv2d | nn.Conv3d, probability: float) -> None:
    """Initialise a 1x1x1 convolution so that its sigmoid is near a probability: small weights, the logit as bias.

    Raises:
        ValueError: The probability is not between 0 and 1.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"initial probability must lie between 0 and 1, not {probability}")
    nn.init.normal_(head.weight, std=0.01)
    if head.bias is not None:
        nn.init.constant_(head.bias, math.log(probability / (1.0 - probability)))


def crop_far_end(
    maps: Float[Tensor, "batch channel *space"], shape: tuple[int, ...]
) -> Float[Tensor, "batch channel *smaller"]:
    """The first `shape` voxels along every axis, which removes padding at the far end."""
    return maps[(slice(None), slice(None), *(slice(side) for side in shape))]
