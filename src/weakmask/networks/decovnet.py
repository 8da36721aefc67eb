"""DeCoVNet: a classifier of chest CTs whose linear layers and kernels give a lesion map without a gradient.

Wang X. et al., IEEE TMI 39(8), 2020, 2615; numbers of the released code, without two stages that never run.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import CONVOLUTION
from weakmask.networks.decovnet_trunk import ADAPTIVE_MAX, FEATURES, DeCoVNetTrunk, along, shrunk, start

GRIDS = ((16, 24, 36), (4, 12, 18), (1, 6, 9))  # of the adaptive poolings in front of each convolution
WIDTHS = (64, 32, 32)


class DeCoVNet(nn.Module):
    """The trunk, three pooled convolutions, the global maximum and two linear layers with nothing between them.

    Attributes:
        dimensions: 2 or 3.
        trunk: Image -> features.
    """

    def __init__(
        self,
        dimensions: int = 3,
        in_channels: int = 2,
        out_channels: int = 2,
        dropout: float = 0.0,
        shrink: int = 1,
    ) -> None:
        """Build the network; 346,978 weights in 3-D with the defaults.

        Args:
            dimensions: 2 or 3.
            in_channels: The image and the mask of its lungs.
            out_channels: Classes; the first is `no lesion`.
            dropout: In front of the last convolution; 0 in the released file.
            shrink: Divides the sides of the pooled grids, for small images; 1 in the released file.

        Raises:
            ValueError: `dimensions` is neither 2 nor 3.
        """
        super().__init__()
        self.dimensions = dimensions
        self.trunk = DeCoVNetTrunk(dimensions, in_channels)
        layers: list[nn.Module] = []
        before = FEATURES
        for grid, width in zip(GRIDS, WIDTHS, strict=True):
            layers.append(ADAPTIVE_MAX[dimensions](along(dimensions, shrunk(grid, shrink))))
            if grid == GRIDS[-1]:
                layers.append(nn.Dropout(dropout))
            layers += [CONVOLUTION[dimensions](before, width, 3, padding=1), nn.ReLU(inplace=True)]
            before = width
        self.head = nn.Sequential(*layers, ADAPTIVE_MAX[dimensions](1), nn.Flatten())
        self.inner, self.linear = nn.Linear(before, before), nn.Linear(before, out_channels)
        start(self)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch class"]:
        """Logits per class."""
        return self.linear(self.inner(self.head(self.trunk(image))))

    def features(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature *coarse"]:
        """The features of the trunk, from which the map is made."""
        return self.trunk(image)

    def map_weights(self) -> Float[Tensor, "class feature"]:
        """The weight of each feature in the map of each class: both linear layers times the kernels' spatial means."""
        weights = self.linear.weight @ self.inner.weight
        for layer in reversed(self.head):
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                weights = weights @ layer.weight.flatten(2).mean(2)
        return weights

    @torch.no_grad()
    def localisation(
        self, image: Float[Tensor, "batch channel *space"], index: int = 1
    ) -> Float[Tensor, "batch 1 *coarse"]:
        """ReLU of the weighted sum of the trunk's features: the lesion map of a class, not rescaled."""
        return torch.einsum("bk...,k->b...", self.trunk(image), self.map_weights()[index]).relu()[:, None]
