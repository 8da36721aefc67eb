"""Simulated CT acquisition: blur, slice thickness, reconstruction kernel, correlated noise, calibration offset."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from weakmask.phantoms.noise import Grid, stream

LOWEST_HU, HIGHEST_HU = -1024, 3071


@dataclass(frozen=True)
class Scanner:
    """Parameters of the acquisition of one scan.

    Attributes:
        slice_mm: Slice thickness (1 to 3 mm).
        psf_mm: Standard deviation of the in-plane point spread.
        sharpness: -0.3 (soft kernel) to 1 (sharp: edges overshoot, noise grows).
        noise_hu: Standard deviation of the noise in a 2 mm voxel of the lungs.
        offset_hu: Calibration error.
    """

    slice_mm: float
    psf_mm: float
    sharpness: float
    noise_hu: float
    offset_hu: float


def draw_scanner(seed: int) -> Scanner:
    """Draw a scanner and its protocol from a seed."""
    rng = stream(seed, "scanner")
    sharpness = float(rng.uniform(-0.3, 1.0))
    return Scanner(
        slice_mm=float(rng.choice([1.0, 1.25, 1.5, 2.0, 3.0])),
        psf_mm=float(0.75 - 0.30 * sharpness + rng.uniform(-0.05, 0.1)),
        sharpness=sharpness,
        noise_hu=float(np.clip(rng.lognormal(np.log(15), 0.35), 8, 45) * (1 + 0.3 * sharpness)),
        offset_hu=float(rng.normal(0, 6)),
    )


def acquire(image: np.ndarray, grid: Grid, scanner: Scanner, seed: int) -> np.ndarray:
    """Blur a chest, add noise and round to int16 HU; `image` is overwritten.

    Noise is drawn for the grid's voxels and correlated over about a millimetre. A coarser grid averages more photons
    per voxel and is less noisy: the standard deviation falls with the square root of the voxel volume until the voxel
    is thicker than the correlation length of the noise.
    """
    spacing = np.array(grid.spacing_mm)
    sigma_mm = np.array([scanner.slice_mm / 2.355, scanner.psf_mm, scanner.psf_mm])
    image = _blur(image, sigma_mm / spacing)
    if scanner.sharpness > 0:
        soft = _blur(image, 1.1 / spacing)
        image += np.float32(0.5 * scanner.sharpness) * (image - soft)
    grain = np.array([0.45 * scanner.slice_mm, 0.85 - 0.35 * scanner.sharpness, 0.85 - 0.35 * scanner.sharpness])
    noise = stream(seed, "noise").standard_normal(image.shape, dtype=np.float32)
    noise = _blur(noise, grain / spacing)
    finer = float(np.clip(np.sqrt(8.0 / np.prod(spacing)), 0.4, 2.5))
    noise *= np.float32(scanner.noise_hu * finer / max(float(noise.std()), 1e-6))
    noise *= _streaks(grid)
    image += noise
    image += np.float32(scanner.offset_hu)
    np.clip(image, LOWEST_HU, HIGHEST_HU, out=image)
    return np.rint(image).astype(np.int16)


def _blur(image: np.ndarray, sigma_voxels: np.ndarray) -> np.ndarray:
    """Gaussian blur along the axes where it is not negligible."""
    for axis, sigma in enumerate(sigma_voxels):
        if sigma > 0.22 and image.shape[axis] > 1:
            image = gaussian_filter1d(image, float(sigma), axis=axis, truncate=3.0)
    return image


def _streaks(grid: Grid) -> np.ndarray:
    """Relative noise: stronger at the shoulders, under the diaphragm and toward the middle of the body."""
    high = 1 + 0.5 * np.clip((grid.z - 70) / 60, 0, 1) + 0.35 * np.clip((-grid.z - 40) / 80, 0, 1)
    middle = 1.1 - 0.25 * np.clip(np.hypot(grid.y, grid.x) / 140, 0, 1)
    return (high * middle).astype(np.float32)
