"""Groups of pictures that nearly copy each other, so that a split keeps each group on one side."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy.sparse.csgraph import connected_components

from weakmask.volume.files import read_volume

SIDE = 32  # of the thumbnails that are compared
LEAST = 0.92  # correlation of near copies; that of BUSI's own split


def near_copies(images: Mapping[str, Path], least: float = LEAST) -> dict[str, str]:
    """The group of each picture, named after its first picture; a picture without a near copy is its own group.

    Two pictures nearly copy each other where their grey thumbnails correlate above `least`; chains of near copies are
    one group. X-rays of one view all look alike on that scale: their patients are the groups.

    Args:
        images: Name -> file of a picture or single slice.
        least: Correlation from -1 to 1.

    Raises:
        UserError: A file cannot be read.
    """
    if not images:
        return {}
    thumbnails = np.stack([thumbnail(path) for path in images.values()])
    _, group = connected_components(thumbnails @ thumbnails.T > least, directed=False)
    names = list(images)
    first = {number: place for place, number in reversed(list(enumerate(group.tolist())))}
    return {name: names[first[number]] for name, number in zip(names, group.tolist(), strict=True)}


def thumbnail(path: Path) -> Float[np.ndarray, " pixel"]:
    """Small grey copy of a picture with mean 0 and norm 1, so that products are correlations; 0 if it has one grey."""
    grey = Image.fromarray(read_volume(path).voxels[0].astype(np.float32))
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64).ravel()
    small = small - small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-9)
