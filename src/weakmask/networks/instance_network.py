"""The instance network of dual-task MIL: one logit for each small patch of an image, from a view of 13 pixels.

The paper (Wang) names no network, so this is the package's choice (O). The small view is what makes it work: a larger
one reads the label of the bag off the surroundings.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import CONVOLUTION, convolution_pair, kaiming
from weakmask.networks.reach import Reach, SegmentationNetwork, Span

WIDTHS = (16, 16, 32, 32)
LAYERS = len(WIDTHS)
AVERAGE = {2: F.avg_pool2d, 3: F.avg_pool3d}


class InstanceNetwork(SegmentationNetwork):
    """Four 3 x 3 convolutions, the mean of their features over each patch, and two pointwise convolutions.

    Attributes:
        dimensions: 2 or 3.
        patch: Side of a patch in pixels.
    """

    def __init__(self, dimensions: int = 2, in_channels: int = 1, out_channels: int = 1, patch: int = 5) -> None:
        """Build the network with Kaiming weights from torch's global random state.

        Args:
            dimensions: 2 or 3.
            in_channels: Channels of the image.
            out_channels: Logits of a patch.
            patch: Side of a patch in pixels.

        Raises:
            ValueError: `dimensions` is neither 2 nor 3, or the patch has no pixel.
        """
        super().__init__()
        if dimensions not in CONVOLUTION or patch < 1:
            raise ValueError(f"dimensions must be 2 or 3 and patch at least 1, not {dimensions} and {patch}")
        self.dimensions, self.out_channels, self.patch = dimensions, out_channels, patch
        self.layers = nn.Sequential(
            *convolution_pair(dimensions, in_channels, WIDTHS[:2], padding=1),
            *convolution_pair(dimensions, WIDTHS[1], WIDTHS[2:], padding=1),
        )
        pointwise = CONVOLUTION[dimensions]
        self.head = nn.Sequential(pointwise(WIDTHS[-1], 32, 1), nn.ReLU(inplace=True), pointwise(32, out_channels, 1))
        self.apply(kaiming)

    def forward(
        self, image: Float[Tensor, "batch channel *space"], region: Float[Tensor, "batch 1 *space"] | None = None
    ) -> Float[Tensor, "batch class *output"]:
        """The logits of the patches.

        Args:
            image: The image. Patches begin at its first pixel; those at its far end may be cut.
            region: 1 inside, 0 outside: features are averaged over the pixels inside. A patch without such a pixel has
                the logit of features that are all zero. None: all pixels count, and each has the logit of its patch.

        Returns:
            One logit per patch; on the grid of the image where no region is given.
        """
        features = self.layers(image)
        if region is not None:
            return self.head(patch_means(features, region, self.patch))
        logits = self.head(patch_means(features, torch.ones_like(image[:, :1]), self.patch))
        for axis in range(2, image.ndim):
            logits = logits.repeat_interleave(self.patch, axis).narrow(axis, 0, image.shape[axis])
        return logits

    def reach(self) -> Reach:
        """A patch sees four pixels beyond its own: 13 in all for patches of 5."""
        block = Span(0, self.patch - 1)
        return Reach(multiple=self.patch, margin=block.convolutions(LAYERS).beyond(block))


def patch_means(
    maps: Float[Tensor, "batch channel *space"], region: Float[Tensor, "batch 1 *space"], side: int
) -> Float[Tensor, "batch channel *patches"]:
    """The mean of maps over the pixels of the region in each patch; 0 where a patch has none.

    Args:
        maps: Values of pixels.
        region: 1 inside, 0 outside, or a weight.
        side: Of a patch, in pixels; a patch at the far end may have fewer.
    """
    inside = region.to(maps.dtype)
    total, weight = (_patch_sums(values, side) for values in (maps * inside, inside))
    return total / weight.clamp_min(1e-6)


def patch_shares(region: Float[Tensor, "batch 1 *space"], side: int) -> Float[Tensor, "batch 1 *patches"]:
    """The share of each patch, of its full size, that lies in the region."""
    return _patch_sums(region, side) / side ** (region.ndim - 2)


def _patch_sums(values: Tensor, side: int) -> Tensor:
    """The sum over each patch; pixels beyond the far end count as 0."""
    beyond = [amount for length in reversed(values.shape[2:]) for amount in (0, -length % side)]
    return AVERAGE[values.ndim - 2](F.pad(values, beyond), side, divisor_override=1)
