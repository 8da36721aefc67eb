"""Dense regression activation maps (Xie et al. 2021, arXiv 2105.11748, section III-A-1)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def dense_regression_map(
    network: nn.Module, image: Float[Tensor, "batch channel *space"], region: Float[Tensor, "batch 1 *space"]
) -> Float[Tensor, "batch 1 *space"]:
    """The activation map of a regression network: the sigmoid of its logits inside the region, zero outside.

    Its mean inside the region is the predicted lesion fraction. It is differentiable; the caller sets the network's
    mode.

    Args:
        network: Maps images to logits of the same size; of several channels the last one is used (`RefinedUNet`).
        image: Windowed crops, zero outside the region.
        region: 1 inside, 0 outside.
    """
    return torch.sigmoid(network(image)[:, -1:].float()) * region
