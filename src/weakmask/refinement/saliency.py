"""Saliency of a single picture without learning: the floors that learnt activation maps must beat.

Objects of photographs differ in colour from the border of the picture, lesions of ultrasound are dark, and both tend to
lie in the middle.
"""

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

BORDER = 0.1  # width of the frame whose colours are background, of the sides
SIGMA = 0.01  # of the blur of both maps, of the sides
CENTRE_SIGMA = 0.25  # of the Gaussian around the middle, of the sides
LEAST_VARIANCE = 1.0  # of a colour in Lab, so that a border of one colour divides by no zero

Picture = UInt8[np.ndarray, "colour y x"]
Saliency = Float[np.ndarray, "y x"]


def border_colour_saliency(picture: Picture) -> Saliency:
    """Mahalanobis distance in Lab from the colours of the border, blurred, times a Gaussian around the middle.

    Args:
        picture: Grey or red, green and blue.

    Returns:
        Values from 0 up, in no fixed range.
    """
    rgb = np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)
    colours = rgb2lab(rgb)
    rows, columns = (max(1, round(BORDER * side)) for side in picture.shape[1:])
    frame = np.ones(picture.shape[1:], bool)
    frame[rows:-rows, columns:-columns] = False
    centred = colours - colours[frame].mean(axis=0)
    variance = np.cov(centred[frame].T) + LEAST_VARIANCE * np.eye(3)
    squares = np.einsum("yxi,ij,yxj->yx", centred, np.linalg.inv(variance), centred)
    return _smooth(np.sqrt(squares)) * _centre(picture.shape[1:])


def dark_centre_saliency(picture: Picture) -> Saliency:
    """Darkness from 0 (white) to 1 (black), blurred, times a Gaussian around the middle.

    Args:
        picture: Grey or red, green and blue.
    """
    return _smooth(1 - picture.mean(axis=0) / 255) * _centre(picture.shape[1:])


def _smooth(values: Saliency) -> Saliency:
    return gaussian_filter(values, [SIGMA * side for side in values.shape], mode="nearest")


def _centre(shape: tuple[int, ...]) -> Saliency:
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in shape)
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * CENTRE_SIGMA**2))
