"""Groups of pictures that are nearly copies of each other, so that none is trained on while another is tested on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps
from scipy.sparse.csgraph import connected_components

from weakmask.errors import UserError, refuse_machine_fault

SIDE = 32  # pixels of a thumbnail


def groups_of_copies(paths: Sequence[Path], least: float = 0.92) -> list[int]:
    """The group of each picture, as the place of the group's first picture.

    Two pictures are in one group if their grey thumbnails correlate, or if a chain of pictures that do connects them.

    Args:
        paths: The pictures.
        least: Correlation from which on two are copies.

    Raises:
        UserError: A picture cannot be read.
    """
    if not paths:
        return []
    thumbnails = np.stack([_thumbnail(path) for path in paths])
    _, groups = connected_components(thumbnails @ thumbnails.T >= least, directed=False)
    first: dict[int, int] = {}
    return [first.setdefault(int(group), place) for place, group in enumerate(groups)]


def _thumbnail(path: Path) -> Float[np.ndarray, " pixel"]:
    """A thumbnail of mean 0 and length 1; one without contrast is all 0 and correlates with none."""
    try:
        with Image.open(path) as picture:
            small = ImageOps.exif_transpose(picture).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error}); expected a picture") from error
    pixels = np.asarray(small, dtype=np.float64).ravel()
    pixels = pixels - pixels.mean()
    return pixels / max(float(np.linalg.norm(pixels)), 1e-9)
