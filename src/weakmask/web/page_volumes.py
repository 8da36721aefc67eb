"""Volumes made small enough for a page: cropped, rounded, averaged in the plane."""

import base64
import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.nifti_writing import write_nifti
from weakmask.volume.volume import Volume

LOWEST, HIGHEST = -1150.0, 350.0  # HU from the air in a lung to contrast agent; what lies beyond gets these
SOFT_FROM = -200.0  # HU from which steps are finer
FINER = 2.5
MOST_VOXELS = 12_000_000  # of an image that is not averaged
STEPS = (10.0, 25.0, 40.0)  # HU between grey values, tried in this order


def page_text(volume: Volume) -> str:
    """A volume as compressed NIfTI in base64."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "volume.nii"
        write_nifti(volume.voxels, volume.geometry, file)
        packed = gzip.compress(file.read_bytes(), compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def image_texts(image: Volume, window: tuple[float, float], *, hounsfield: bool) -> Iterator[tuple[str, int]]:
    """An image for a page, in ever smaller forms, and how many voxels in a row one of them stands for.

    Args:
        image: The image.
        window: Grey values that are black and white; other values of an image that is not in HU are not kept.
        hounsfield: Whether the image is in HU.
    """
    factor = 1
    while image.voxels.size / factor**2 > MOST_VOXELS:
        factor *= 2
    while True:
        smaller = averaged(image, factor)
        for step in STEPS:
            yield page_text(_rounded(smaller, window, step, hounsfield=hounsfield)), factor
        factor *= 2


def map_text(activation: Volume, factor: int) -> str:
    """A map in [0, 1] for a page, in 255ths, in as small a form as the image."""
    smaller = averaged(activation, factor)
    levels = np.rint(np.clip(np.nan_to_num(smaller.voxels), 0, 1) * 17) * 15
    return page_text(smaller.with_voxels(levels.astype(np.uint8)))


def averaged(volume: Volume, factor: int) -> Volume:
    """A volume with the mean of `factor` x `factor` voxels of each slice in the place of these; a rest is left out."""
    depth, height, width = volume.geometry.shape
    rows, columns = max(1, height // factor), max(1, width // factor)
    if factor == 1 or min(height, width) < factor:
        return volume
    box = Box((0, 0, 0), (depth, rows * factor, columns * factor))
    blocks = volume.voxels[box.slices].reshape(depth, rows, factor, columns, factor)
    geometry: Geometry = volume.geometry.cropped(box).with_shape((depth, rows, columns))
    return Volume(blocks.mean(axis=(2, 4), dtype=np.float32), geometry)


def _rounded(image: Volume, window: tuple[float, float], step: float, *, hounsfield: bool) -> Volume:
    """Grey values as whole numbers with few levels, which compress well."""
    values = np.nan_to_num(image.voxels.astype(np.float32))
    if not hounsfield:
        low, high = window
        levels = np.rint(255 * np.clip((values - low) / max(high - low, 1e-6), 0, 1))
        return image.with_voxels(levels.astype(np.uint8))
    values = np.clip(values, LOWEST, HIGHEST)
    coarse, fine = np.rint(values / step) * step, np.rint(values / (step / FINER)) * (step / FINER)
    return image.with_voxels(np.where(values < SOFT_FROM, coarse, fine).astype(np.int16))
