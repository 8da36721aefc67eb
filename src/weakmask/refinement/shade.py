"""Maps that keep to the darker or the brighter pixels of what they show.

A class activation map is as wide as the field of view of its voxels: around a small lesion it shows the lesion and the
tissue that surrounds it. In many images one knows more: a lesion is dark in ultrasound, air is dark and fluid bright in
an X-ray.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from weakmask.refinement.input_checks import require_tensors

SHOWN = 0.3  # of a map's range: above it lie the pixels between whose percentiles shades are counted
PERCENTILES = (2.0, 98.0)

Shade = Literal["dark", "bright"]


def times_shade(
    maps: Float[Tensor, "1 class y x"], image: Float[Tensor, "1 channel y x"], shade: Shade, sigma: float
) -> Float[Tensor, "1 class y x"]:
    """Each map times how dark, or bright, a pixel is among those that the map shows; divided by its maximum.

    Args:
        maps: In [0, 1], one per class.
        image: Grey values, or colours whose mean counts.
        shade: Which pixels are wanted.
        sigma: Of a Gaussian that smooths the grey values, in pixels; 0: none.

    Returns:
        Maps in [0, 1]; one that is 0 throughout, or that shows pixels of a single grey value, stays as it is.

    Raises:
        TypeError: An input is not a tensor.
    """
    require_tensors(maps=maps, image=image)
    grey = gaussian_filter(image.mean(dim=1)[0].cpu().numpy().astype(np.float64), sigma)
    found = maps.clone()
    for place, one in enumerate(maps[0]):
        shown = grey[(one > SHOWN * one.max()).cpu().numpy()]
        low, high = np.percentile(shown, PERCENTILES) if shown.size else (0.0, 0.0)
        if high > low:
            brightness = ((grey - low) / (high - low)).clip(0, 1)
            wanted = brightness if shade == "bright" else 1 - brightness
            weighted = one * torch.from_numpy(wanted).to(one)
            found[0, place] = weighted / weighted.max().clamp_min(torch.finfo(one.dtype).tiny)
    return found
