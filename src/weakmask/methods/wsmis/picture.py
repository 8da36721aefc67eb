"""A scan as the networks see it: a small square picture of bytes, grey or in colour; and masks back on its own grid."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from weakmask.activation import average_over_scales, with_mirror
from weakmask.errors import UserError
from weakmask.prediction import Scan
from weakmask.volume.intensity import window

BYTES = (0.0, 255.0)
PERCENTILES = (0.5, 99.5)  # of an image's grey values: its own range, without burnt-in marks

Picture = UInt8[np.ndarray, "colour y x"]


def picture_of(scan: Scan, given: tuple[float, float] | None) -> tuple[Picture, tuple[float, float]]:
    """The pixels of an upright scan as bytes: one channel if it is grey, else red, green and blue.

    Args:
        scan: A picture, or a volume of a single slice.
        given: Grey values from black to white; None: 0 to 255 of 8-bit images, else the image's own range.

    Returns:
        The picture, and the grey values from black to white.

    Raises:
        UserError: The scan has several slices.
    """
    values = scan.image.voxels
    if len(values) != 1:
        raise UserError(f"{scan.name}: has {len(values)} slices; expected a picture, an X-ray or a single slice")
    if scan.colour is not None and (scan.colour != scan.colour[:1]).any():
        values = scan.colour
    low, high = given or _own_range(values)
    return np.rint(255 * window(values, low, high)).astype(np.uint8), (low, high)


def _own_range(values: np.ndarray) -> tuple[float, float]:
    """Black and white of an image without a given window."""
    if values.dtype == np.uint8:
        return BYTES
    low, high = (float(end) for end in np.percentile(values, PERCENTILES))
    return (low, high) if high > low else (low, low + 1.0)


def resized(picture: Picture, side: int) -> UInt8[np.ndarray, "colour side side"]:
    """The picture as a square; each new pixel averages those that it covers."""
    return np.stack(
        [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR)) for one in picture]
    )


def on_grid(labels: UInt8[np.ndarray, "rows columns"], shape: tuple[int, ...]) -> UInt8[np.ndarray, "y x"]:
    """Labels of a picture on a grid of another shape, by the nearest pixel."""
    return np.asarray(Image.fromarray(labels).resize((shape[1], shape[0]), Image.Resampling.NEAREST))


def averaged(
    network: Callable[[Tensor], Tensor],
    image: Float[Tensor, "batch colour side side"],
    scales: tuple[float, ...] = (1.0,),
    *,
    mirror: bool,
) -> Float[Tensor, "batch class side side"]:
    """Probabilities of classes, averaged over sizes of the picture and its mirror image.

    Args:
        network: Image -> logits of the image's size, background first.
        image: In [0, 1].
        scales: Factors of the side.
        mirror: Whether the mirrored picture counts, too.
    """

    def activation(seen: Tensor, _region: Tensor) -> Tensor:
        """Probabilities of one size."""
        return network(seen).float().softmax(1)

    whole = torch.ones_like(image[:, :1])
    return average_over_scales(with_mirror(activation) if mirror else activation, image, whole, scales)


def presence_of(
    classifier: Callable[[Tensor], Tensor], image: Float[Tensor, "batch colour side side"]
) -> Float[Tensor, "batch class"]:
    """Probability of each output of the classifier: the mean of those for a picture and for its mirror image."""
    return (classifier(image).float().sigmoid() + classifier(image.flip(-1)).float().sigmoid()) / 2


def weighed(
    probabilities: Float[Tensor, "batch label *space"], presence: Float[Tensor, "batch class"]
) -> Float[Tensor, "batch label *space"]:
    """Probabilities of pixels whose classes are weighed by their probability in the whole image.

    What a pixel has of all classes together stays as it is: the image says which class it is, not where.

    Args:
        probabilities: Of each pixel, background first; they sum to 1.
        presence: Of each class in the image; 0 for a class that is absent. A pixel all of whose classes are absent
            keeps them.
    """
    classes = probabilities[:, 1:]
    products = classes * presence.clamp(0, 1).reshape(*presence.shape, *[1] * (classes.ndim - 2))
    total = products.sum(1, keepdim=True)
    factor = classes.sum(1, keepdim=True) / total.clamp_min(torch.finfo(products.dtype).tiny)
    return torch.cat([probabilities[:, :1], torch.where(total > 0, products * factor, classes)], dim=1)
