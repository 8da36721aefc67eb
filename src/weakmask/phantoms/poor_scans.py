"""Poor scans made of good ones: with noise, with thick slices."""

import numpy as np

from weakmask.volume.geometry import Box
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

NOISE_HU = 60.0  # standard deviation: a low-dose scan with a sharp kernel
THICK_MM = 5.0


def with_noise(image: Volume, lobes: Volume, seed: int) -> tuple[Volume, Volume]:
    """The scan with white noise of `NOISE_HU`."""
    noise = np.random.default_rng(seed).standard_normal(image.voxels.shape, dtype=np.float32)
    return image.with_voxels(np.rint(image.voxels + NOISE_HU * noise).astype(np.int16)), lobes


def with_thick_slices(image: Volume, lobes: Volume, seed: int) -> tuple[Volume, Volume]:  # noqa: ARG001 (one signature for both)
    """The scan in slices of `THICK_MM`, each the mean of those that it spans."""
    each = max(1, round(THICK_MM / image.geometry.spacing_mm[0]))
    slices, rows, columns = image.geometry.shape
    whole = image.crop(Box((0, 0, 0), (slices // each * each, rows, columns)))
    voxels = whole.voxels.reshape(-1, each, rows, columns).mean(axis=1)
    geometry = whole.geometry.with_shape(voxels.shape)
    return Volume(np.rint(voxels).astype(np.int16), geometry), resample_onto(lobes, geometry)
