"""AD3D-MIL: attention-based multiple instance learning; deep features of an image are the instances of its bag.

Han et al., IEEE TMI 39(8), 2020, 2584; attention and its gated form after Ilse et al. 2018 (arXiv 1802.04712). Numbers
of the released code.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.blocks import CONVOLUTION
from weakmask.networks.decovnet_trunk import ADAPTIVE_MAX, FEATURES, DeCoVNetTrunk, along, shrunk, start

POOLINGS = ("attention", "gated", "mean", "max")
WIDTHS = (64, 32)
CELLS = 8  # of the grid of instances, along each axis
LEAST = 1e-5  # probabilities lie in [LEAST, 1 - LEAST], as in the Bernoulli likelihood of the released code


class AD3DMIL(nn.Module):
    """The trunk, 8 x 8 (x 8) instances of 32 features each, and a pooling of the instances to one logit.

    Attributes:
        dimensions: 2 or 3.
        pooling: `attention`, `gated`, `mean` or `max`.
    """

    def __init__(self, dimensions: int = 3, in_channels: int = 1, pooling: str = "attention", shrink: int = 1) -> None:
        """Build the network; 315,378 weights in 3-D with the defaults.

        Args:
            dimensions: 2 or 3.
            in_channels: Channels of the image.
            pooling: attention: of the instances' features (Ilse et al., equation 8); gated: equation 9; mean, max: of
                the instances' probabilities.
            shrink: Divides the sides of the pooled grids, for small images; 1 in the released code.

        Raises:
            ValueError: `dimensions` is neither 2 nor 3, or an unknown pooling.
        """
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be attention, gated, mean or max, not {pooling!r}")
        self.dimensions, self.pooling = dimensions, pooling
        self.trunk = DeCoVNetTrunk(dimensions, in_channels)
        layers: list[nn.Module] = []
        before = FEATURES
        for side, width in zip((32, 16), WIDTHS, strict=True):
            layers.append(ADAPTIVE_MAX[dimensions](along(dimensions, shrunk((side, side, side), shrink))))
            layers += [CONVOLUTION[dimensions](before, width, 3, padding=1), nn.ReLU(inplace=True)]
            before = width
        self.head = nn.Sequential(
            *layers, ADAPTIVE_MAX[dimensions](along(dimensions, shrunk((CELLS, CELLS, CELLS), shrink)))
        )
        self.hidden = nn.Linear(before, before) if pooling in {"attention", "gated"} else None
        self.gate = nn.Linear(before, before) if pooling == "gated" else None
        self.score = None if self.hidden is None else nn.Linear(before, 1)
        self.linear = nn.Linear(before, 1)
        start(self)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch 1"]:
        """The logit of the bag."""
        instances = self.features(image).flatten(2).transpose(1, 2)
        if self.hidden is not None:
            return self.linear((self.attention(instances) * instances).sum(1))
        probability = torch.sigmoid(self.linear(instances).float())
        pooled = probability.mean(1) if self.pooling == "mean" else probability.amax(1)
        return torch.logit(pooled, eps=LEAST)

    def features(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature *cells"]:
        """The instances on their grid, 8 along each axis unless it is shrunk."""
        return self.head(self.trunk(image))

    def attention(self, instances: Float[Tensor, "batch instance feature"]) -> Float[Tensor, "batch instance 1"]:
        """The weights softmax over instances of w^T tanh(V h); gated: of w^T (tanh(V h) * sigmoid(U h)).

        Raises:
            ValueError: The pooling has no attention.
        """
        if self.hidden is None or self.score is None:
            raise ValueError(f"{self.pooling} pooling has no attention; expected attention or gated")
        seen = torch.tanh(self.hidden(instances))
        if self.gate is not None:
            seen = seen * torch.sigmoid(self.gate(instances))
        return torch.softmax(self.score(seen).float(), dim=1)

    @torch.no_grad()
    def localisation(
        self, image: Float[Tensor, "batch channel *space"], kind: Literal["instance", "attention"] = "instance"
    ) -> Float[Tensor, "batch 1 *cells"]:
        """The lesion map on the grid of instances.

        Args:
            image: Of the network's channels.
            kind: instance: the probability that the last layer gives each instance; attention: its weight in the bag,
                times the number of instances.
        """
        grid = self.features(image)
        instances = grid.flatten(2).transpose(1, 2)
        if kind == "instance":
            found = torch.sigmoid(self.linear(instances).float())
        else:
            found = self.attention(instances) * instances.shape[1]
        return found.transpose(1, 2).reshape(len(grid), 1, *grid.shape[2:])
