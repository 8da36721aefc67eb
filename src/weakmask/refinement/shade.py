"""Maps that keep to the darker or the brighter pixels of what they show.

A class activation map is as wide as the field of view of its voxels: around a small lesion it shows the lesion and the
tissue that surrounds it. In many images one knows more: a lesion is dark in ultrasound, air is dark and fluid bright in
an X-ray.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.morphology import closing, disk, opening
from torch import Tensor

from weakmask.refinement.input_checks import require_tensors

SHOWN = 0.3  # of a map's range: above it lie the pixels between whose percentiles shades are counted
PERCENTILES = (2.0, 98.0)
COARSE = 15  # radius of the top-hat's disk in pixels of its own grid, which is as coarse as that allows

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


def times_top_hat(
    maps: Float[Tensor, "1 class y x"], image: Float[Tensor, "1 channel y x"], shade: Shade, sigma: float, radius: float
) -> Float[Tensor, "1 class y x"]:
    """The square root of each map times the top-hat of the grey values; divided by its maximum.

    The black top-hat, a closing by a disk minus the image, is high in dark spots that are smaller than the disk and
    have brighter surroundings. A shadow that is wider than the disk is no spot, although it is dark. The white top-hat,
    the image minus its opening, is its counterpart for bright spots.

    Args:
        maps: In [0, 1], one per class.
        image: Grey values, or colours whose mean counts.
        shade: Which spots are wanted.
        sigma: Of a Gaussian that smooths the grey values, in pixels; 0: none.
        radius: Of the disk, in pixels.

    Returns:
        Maps in [0, 1]; one that shows no spot stays as it is.

    Raises:
        TypeError: An input is not a tensor.
    """
    require_tensors(maps=maps, image=image)
    hat = torch.from_numpy(_top_hat(image.mean(dim=1)[0].cpu().numpy().astype(np.float64), shade, sigma, radius)).to(
        maps
    )
    weighted = maps.sqrt() * hat
    largest = weighted.amax(dim=(2, 3), keepdim=True)
    return torch.where(largest > 0, weighted / largest.clamp_min(torch.finfo(maps.dtype).tiny), maps)


def _top_hat(grey: np.ndarray, shade: Shade, sigma: float, radius: float) -> np.ndarray:
    """The top-hat of a picture, on a coarser grid where the disk is large; the picture is mirrored at its border."""
    step = max(1, round(radius / COARSE))
    coarse = gaussian_filter(grey, sigma)[::step, ::step]
    reach = max(1, round(radius / step))
    around = np.pad(coarse, 2 * reach, mode="symmetric")
    inside = (slice(2 * reach, -2 * reach),) * 2
    if shade == "dark":
        hat = closing(around, disk(reach))[inside] - coarse
    else:
        hat = coarse - opening(around, disk(reach))[inside]
    places = np.meshgrid(*(np.arange(side) / step for side in grey.shape), indexing="ij")
    return map_coordinates(hat, places, order=1, mode="nearest")
