"""dRAM's regression network with its refinement branch (Xie et al. 2021, arXiv 2105.11748, Fig. 2 a and b)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.local_attention import LocalAttention
from weakmask.networks.reach import Reach, SegmentationNetwork, Span
from weakmask.networks.unet import STRIDE, UNet, crop_far_end


class RefinedUNet(SegmentationNetwork):
    """A U-Net whose map is revised by local attention, equation (5).

    The attention reads the image and the encoder's features before the first and the second pooling. These are
    detached, so the attention does not train them. It works on logits, where the sum of a map and its correction needs
    no bounds; the paper's y is the map itself, and the paper does not say how the sum stays in [0, 1].

    Returns two channels of logits: the raw map and the refined map. The refined one is the result.
    """

    def __init__(
        self,
        dimensions: int = 3,
        width: int = 32,
        initial_probability: float | None = None,
        *,
        include_self: bool = True,
        rectify: bool = False,
        residual: bool = True,
    ) -> None:
        """Build both branches; the correction starts near 0, so at first the refined map is almost the raw one.

        Args:
            dimensions: 2 or 3.
            width: Base width of the U-Net.
            initial_probability: See `UNet`.
            include_self: See `LocalAttention`, also for the next two.
            rectify: True is the variant of the authors' code.
            residual: False is the variant of the authors' code.

        Raises:
            ValueError: A value is outside its range.
        """
        super().__init__()
        self.dimensions, self.out_channels = dimensions, 2
        self.unet = UNet(dimensions, width=width, initial_probability=initial_probability)
        self.attention = LocalAttention(
            dimensions,
            (1, 2 * width, 4 * width),
            include_self=include_self,
            rectify=rectify,
            residual=residual,
        )
        if residual:
            nn.init.normal_(self.attention.r.weight, std=0.01)

    def forward(self, image: Float[Tensor, "batch 1 *space"]) -> Float[Tensor, "batch 2 *space"]:
        """Raw and refined logits of an image of any size."""
        space = tuple(image.shape[2:])
        if any(side % STRIDE for side in space):
            image = F.pad(image, [amount for side in reversed(space) for amount in (0, -side % STRIDE)])
        features, skips = self.unet.features_and_skips(image)
        raw = self.unet.head(features)
        refined = self.attention(raw, [image, *(skip.detach() for skip in skips[:2])])
        return crop_far_end(torch.cat([raw, refined], dim=1), space)

    def reach(self) -> Reach:
        """The U-Net's reach for a block of 8 voxels and the neighbours that the attention reads around it."""
        return self.unet.reach_of(Span(0, STRIDE - 1).convolutions(1))
