"""One map from several sizes of the same image (Xie et al. 2021, section IV-A)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LINEAR = {2: "bilinear", 3: "trilinear"}


def average_over_scales(
    activation: Callable[[Tensor, Tensor], Tensor],
    image: Float[Tensor, "batch channel *space"],
    region: Float[Tensor, "batch 1 *space"],
    scales: Sequence[float],
) -> Float[Tensor, "batch 1 *space"]:
    """Resize the image by each factor, map it, resize the maps back and average them.

    Args:
        activation: (image, region) -> map of the image's size.
        image: Windowed crops, zero outside the region.
        region: 1 inside, 0 outside.
        scales: Factors of the side lengths; 1.0 is taken without any interpolation.

    Raises:
        ValueError: No scale is given.
    """
    if not scales:
        raise ValueError("no scales given; expected at least one, for example (1.0,)")
    shape = image.shape[2:]
    mode = LINEAR[len(shape)]
    total = torch.zeros_like(region)
    for scale in scales:
        if scale == 1.0:
            total += activation(image, region)
            continue
        size = [max(1, round(n * scale)) for n in shape]
        small = F.interpolate(image, size=size, mode=mode, align_corners=False)
        inside = F.interpolate(region, size=size, mode="nearest")
        found = activation(small, inside)
        total += F.interpolate(found, size=list(shape), mode=mode, align_corners=False)
    return total / len(scales) * region
