"""Maps that learn the colours of a picture's object and of its background.

A class activation map marks the parts by which a class is known, such as the head of a cat. The rest of the animal has
similar colours, and the background often has others. The colours of both are counted, each pixel by how much it belongs
to either, and decide about the pixels together with the map. This repeats, as in GrabCut (Rother, Kolmogorov, Blake
2004), with histograms in place of Gaussian mixtures and without a graph cut.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from scipy.special import expit, logit
from skimage.color import rgb2lab
from torch import Tensor

from weakmask.refinement.input_checks import require_tensors

BINS = 20  # of a histogram, per axis of Lab
BIN_SIGMA = 1.0  # of the Gaussian that smooths a histogram, in bins
LOW, HIGH = np.array([0.0, -60.0, -60.0]), np.array([100.0, 60.0, 60.0])  # ends of the histograms in Lab
LEAST = 1e-7  # probability that is added to each colour, so that one seen nowhere decides nothing
SURE = (0.02, 0.98)  # range of the belief that a map gives
PIXEL_SIGMA = 1 / 224  # of the Gaussian that smooths the belief after each round, of the picture's side


def weigh_colours(
    maps: Float[Tensor, "1 class y x"],
    image: Float[Tensor, "1 channel y x"],
    threshold: float,
    weight: float,
    rounds: int = 3,
) -> Float[Tensor, "1 class y x"]:
    """Maps after the colours of the picture; they count above the same threshold as before.

    With m the largest map of a pixel and t the threshold, a pixel belongs to an object with m / (m + t). To the logit
    of this the weighted logarithm of p(colour | object) / p(colour | background) is added. Each pixel counts in both
    histograms with the square of its probability, so that unsure ones count little. The classes of a pixel keep their
    shares.

    Args:
        maps: In [0, 1], one per class.
        image: Grey values or red, green and blue in [0, 255].
        threshold: Above it a map counts, in (0, 1).
        weight: Of the colours beside the map; 0 leaves the maps as they are.
        rounds: How often both histograms are counted.

    Returns:
        Maps in [0, 1]; if all are 0 throughout, they stay as they are.

    Raises:
        TypeError: An input is not a tensor.
        ValueError: The threshold is not in (0, 1).
    """
    require_tensors(maps=maps, image=image)
    if not 0 < threshold < 1:
        raise ValueError(f"the threshold must be in (0, 1), not {threshold}")
    strongest = maps[0].amax(0).cpu().numpy().astype(np.float64)
    if weight == 0 or strongest.max() == 0:
        return maps
    places = _bins(image[0].cpu().numpy())
    prior = logit(np.clip(strongest / (strongest + threshold), *SURE))
    belief, sigma = expit(prior), [PIXEL_SIGMA * side for side in strongest.shape]
    for _ in range(rounds):
        ratio = np.log(_probability(places, belief**2) / _probability(places, (1 - belief) ** 2))
        belief = gaussian_filter(expit(prior + weight * ratio), sigma)
    belief = np.clip(belief, *SURE)
    wanted = torch.from_numpy(np.minimum(threshold * belief / (1 - belief), 1.0)).to(maps)
    return _shares(maps) * wanted


def _bins(picture: Float[np.ndarray, "channel y x"]) -> tuple[np.ndarray, ...]:
    """The bin of each pixel's colour, along each axis of Lab."""
    rgb = np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)
    scaled = (rgb2lab(rgb.astype(np.float64) / 255) - LOW) / (HIGH - LOW)
    return tuple(np.clip((BINS * scaled).astype(int), 0, BINS - 1).transpose(2, 0, 1))


def _probability(places: tuple[np.ndarray, ...], weights: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    """The probability of each pixel's colour in the smoothed histogram of the weighted pixels."""
    flat = np.ravel_multi_index(places, (BINS,) * 3)
    counts = np.bincount(flat.ravel(), weights.ravel(), BINS**3).reshape((BINS,) * 3)
    smooth = gaussian_filter(counts, BIN_SIGMA, mode="nearest").ravel()
    return (smooth / max(smooth.sum(), LEAST))[flat] + LEAST


def _shares(maps: Float[Tensor, "1 class y x"]) -> Float[Tensor, "1 class y x"]:
    """Each map divided by the largest; where all are 0, that of the class with the largest value anywhere is 1."""
    largest = maps.amax(1, keepdim=True)
    first = torch.zeros_like(maps)
    first[0, int(maps[0].flatten(1).amax(1).argmax())] = 1
    return torch.where(largest > 0, maps / largest.clamp_min(torch.finfo(maps.dtype).tiny), first)
