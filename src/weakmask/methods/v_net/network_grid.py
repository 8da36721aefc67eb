"""The network's grid: the middle of a scan at a fixed voxel size, and the way back to the scan's own grid."""

import numpy as np
from jaxtyping import Float, UInt8

from weakmask.methods.v_net.config import PrepareSettings
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume


def network_grid(scan: Geometry, settings: PrepareSettings) -> Geometry:
    """The grid of `settings.shape` voxels around the middle of a scan."""
    spaced = scan if settings.spacing_mm is None else scan.with_spacing(settings.spacing_mm)
    start = [(n - side) // 2 for n, side in zip(spaced.shape, settings.shape, strict=True)]
    stop = [first + side for first, side in zip(start, settings.shape, strict=True)]
    return spaced.cropped(Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])))


def framed_image(image: Volume, settings: PrepareSettings) -> Volume:
    """A scan on the network's grid, as z-scores of the voxels that lie inside the scan; 0 outside."""
    grid = network_grid(image.geometry, settings)
    grey = resample_onto(image, grid).voxels
    inside = resample_onto(image.with_voxels(np.ones(image.voxels.shape, np.uint8), "label"), grid).voxels > 0
    within = grey[inside]
    mean, deviation = (float(within.mean()), float(within.std())) if inside.any() else (0.0, 1.0)
    scores = np.where(inside, (grey - mean) / max(deviation, 1e-6), 0)
    return Volume(scores.astype(np.float32), grid)


def framed_labels(truth: Volume, settings: PrepareSettings) -> Volume:
    """Labels on the network's grid."""
    return resample_onto(truth, network_grid(truth.geometry, settings))


def on_own_grid(probabilities: Float[np.ndarray, "class z y x"], grid: Geometry, scan: Geometry) -> tuple[
    UInt8[np.ndarray, "depth rows columns"], Float[np.ndarray, "depth rows columns"]
]:  # fmt: skip
    """The classes of a scan, and the probability of any class but the background.

    Args:
        probabilities: Of each class on the network's grid, the background first.
        grid: The network's grid.
        scan: The scan's grid; outside the network's grid is background.
    """
    own = [resample_onto(Volume(one, grid), scan, float(k == 0)).voxels for k, one in enumerate(probabilities)]
    return np.argmax(np.stack(own), axis=0).astype(np.uint8), 1 - own[0]
