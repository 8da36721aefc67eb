"""Checks of inputs: tensors (batch, channel, *space), volumes, and masks (z, y, x); an error says how to make them."""

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from weakmask.volume.volume import Volume


def require_tensors(axes: str = "(batch, channel, *space)", /, **inputs: object) -> None:
    """Refuse inputs that are not tensors with two or three axes of space.

    Args:
        axes: Their axes, for the message; without a channel there is one axis less.
        **inputs: By the name of the parameter; None is not checked.

    Raises:
        TypeError: Not a tensor.
        ValueError: Another number of axes.
    """
    added = ["None"] * axes.count(",")
    cure = f"[{', '.join(added)}]"
    for name, value in inputs.items():
        if value is None:
            continue
        if not isinstance(value, Tensor):
            kind, array = type(value).__name__, f"{name}.voxels" if isinstance(value, Volume) else name
            raise TypeError(f"{name} is of type {kind}; expected a tensor {axes}; use torch.from_numpy({array}){cure}")
        if value.dim() - len(added) not in {2, 3}:
            raise ValueError(
                f"{name} has the shape {tuple(value.shape)}; expected {axes} with 2 or 3 axes of space; for one map of "
                f"space alone use {name}{cure}"
            )


def require_volume(name: str, value: object) -> None:
    """Refuse an image that is not a volume.

    Raises:
        TypeError: Not a `Volume`.
    """
    if not isinstance(value, Volume):
        raise TypeError(
            f"{name} is of type {type(value).__name__}; expected a Volume; use Volume.from_array({name}, spacing_mm)"
        )


def as_mask(name: str, value: object, image: Volume | None = None) -> Bool[np.ndarray, "z y x"]:
    """A mask as an array of bool; of whole numbers, all but 0 are inside.

    Args:
        name: Of the parameter.
        value: The mask.
        image: The image on whose grid it must lie; None: any grid.

    Raises:
        TypeError: Not an array, or one of real numbers.
        ValueError: Not three axes, or another shape than the image's.
    """
    if not isinstance(value, np.ndarray):
        cure = f"{name}[0, 0].cpu().numpy()" if isinstance(value, Tensor) else f"{name}.voxels"
        raise TypeError(f"{name} is of type {type(value).__name__}; expected a NumPy array (z, y, x); use {cure}")
    if value.dtype.kind not in "biu":
        raise TypeError(f"{name} has the type {value.dtype}; expected a mask; use {name} > threshold")
    if value.ndim != 3:
        raise ValueError(f"{name} has the shape {value.shape}; expected (z, y, x); for a slice use {name}[None]")
    if image is not None and value.shape != image.geometry.shape:
        raise ValueError(f"{name} has the shape {value.shape}; expected the image's {image.geometry.shape}")
    return value if value.dtype == bool else value != 0
