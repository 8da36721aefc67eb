"""Choice of the slices of a scan that a report shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from weakmask.report.scan_view import Scene
from weakmask.volume.geometry import Box, Index3

BAD_DICE = 0.5  # below it the slices with the largest error are shown instead of the largest lesion
MARGIN_MM = 12.0
Areas = tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]


@dataclass(frozen=True)
class Choice:
    """The slices to show.

    Attributes:
        index: One slice across each turned axis.
        reason: Why these slices, as a sentence for the caption.
    """

    index: Index3
    reason: str


def choose_slices(scene: Scene) -> Choice:
    """Choose one slice of each plane.

    The first available criterion counts: the largest error area if the Dice overlap with the truth is below 0.5; the
    largest area marked by the method or the truth; the strongest activation; the largest region area; the middle.
    """
    mask, truth = scene.mask, scene.truth
    if mask is not None and truth is not None:
        marked = areas(scene, lambda z: (mask[z] != 0) | (truth[z] != 0))
        error = areas(scene, lambda z: (mask[z] != 0) != (truth[z] != 0))
        union, wrong = marked[0].sum(), error[0].sum()
        dice = 2 * (union - wrong) / max(2 * union - wrong, 1.0)
        if wrong > 0 and dice < BAD_DICE:
            return Choice(_largest(error), "Each plane shows the slice with the largest area of error.")
        if union > 0:
            return Choice(_largest(marked), "Each plane shows the slice with the largest lesion area.")
    for what, layer in (("predicted", mask), ("true", truth)):
        if layer is not None and (found := _most(scene, layer)):
            return Choice(found, f"Each plane shows the slice with the largest {what} lesion area.")
    if (activation := scene.activation) is not None:
        strength = areas(scene, lambda z: np.nan_to_num(activation[z]))
        if strength[0].sum() > 0:
            return Choice(_largest(strength), "Each plane shows the slice with the strongest activation.")
    nothing = "No lesion is marked. " if mask is not None or truth is not None else ""
    if scene.regions is not None and (found := _most(scene, scene.regions)):
        return Choice(found, f"{nothing}Each plane shows the slice with the largest area of the regions.")
    z, y, x = (n // 2 for n in scene.frame.shape)
    return Choice((z, y, x), f"{nothing}Each plane shows the middle slice.")


def areas(scene: Scene, slab: Callable[[int], Shaped[np.ndarray, "y x"]]) -> Areas:
    """Sum over every slice of each plane, in voxels, one axial slab at a time so that no volume is copied.

    Args:
        scene: Defines the shape.
        slab: Returns the values to sum for an index along z.
    """
    total = tuple(np.zeros(n) for n in scene.frame.shape)
    for z in range(scene.frame.shape[0]):
        weights = slab(z)
        if weights.any():
            rows = weights.sum(axis=1, dtype=np.float32)
            total[0][z] = rows.sum(dtype=np.float64)
            total[1][:] += rows
            total[2][:] += weights.sum(axis=0, dtype=np.float32)
    return total[0], total[1], total[2]


def marked_box(scene: Scene) -> Box | None:
    """Bounding box of the regions and all masks; None if there are no regions or they are empty."""
    layers = [layer for layer in (scene.regions, scene.mask, scene.truth) if layer is not None]
    if scene.regions is None or scene.frame.flat:
        return None
    seen = areas(scene, lambda z: np.logical_or.reduce([layer[z] != 0 for layer in layers]))
    if not seen[0].any():
        return None
    z, y, x = (np.flatnonzero(along) for along in seen)
    return Box((int(z[0]), int(y[0]), int(x[0])), (int(z[-1]) + 1, int(y[-1]) + 1, int(x[-1]) + 1))


def with_margin(box: Box, scene: Scene) -> Box:
    """The box grown by 12 mm, inside the grid."""
    z, y, x = (int(np.ceil(MARGIN_MM / spacing)) for spacing in scene.frame.spacing_mm)
    return box.grown((z, y, x)).clipped(scene.frame.shape)


def axial_levels(box: Box, count: int) -> Sequence[int]:
    """Evenly spaced distinct axial slices of a box, from the head down."""
    height = box.stop[0] - box.start[0]
    levels = {box.start[0] + int(height * (i + 0.5) / count) for i in range(count)}
    return sorted(levels, reverse=True)


def _most(scene: Scene, layer: Shaped[np.ndarray, "z y x"]) -> Index3 | None:
    """The slices with the largest area of a label layer; None if it is empty."""
    found = areas(scene, lambda z: layer[z] != 0)
    return _largest(found) if found[0].any() else None


def _largest(found: Areas) -> Index3:
    z, y, x = (int(np.argmax(along)) for along in found)
    return z, y, x
