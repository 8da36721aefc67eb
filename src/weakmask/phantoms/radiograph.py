"""From the tissue that X-rays meet to the picture that a radiologist sees."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from scipy.ndimage import affine_transform, gaussian_filter

from weakmask.phantoms.noise import stream

PER_MM = 0.019  # attenuation of water at about 70 keV
BODY_MM = 40.0  # of water that a ray through the body meets
FIELD_MM = 330.0  # height and width of the picture, before the patient's own distance


@dataclass(frozen=True)
class View:
    """Where a projection lies in the picture: a rotation, an enlargement and a shift.

    Attributes:
        side_px: Pixels of a side of the picture.
        matrix: From picture to projection, in pixels of each from their middles.
        shift: Added to that, in pixels of the projection.
    """

    side_px: int
    matrix: Float[np.ndarray, "2 2"]
    shift: Float[np.ndarray, " 2"]

    def of(self, plane: Float[np.ndarray, "row column"]) -> Float32[np.ndarray, "y x"]:
        """A projection as the picture shows it; beyond its border it goes on as at the border."""
        centre = 0.5 * (np.array(plane.shape) - 1)
        offset = centre + self.shift - self.matrix @ np.full(2, 0.5 * (self.side_px - 1))
        shape = (self.side_px, self.side_px)
        whole: Any = affine_transform  # its stubs take no array of offsets
        return whole(np.asarray(plane, np.float32), self.matrix, offset, shape, order=1, mode="nearest")


def draw_view(seed: int, side_px: int, pixel_mm: float) -> View:
    """Draw how the patient stands in front of the detector.

    Args:
        seed: Of the patient.
        side_px: Pixels of a side of the picture.
        pixel_mm: Edge of a pixel of the projection.
    """
    rng = stream(seed, "view")
    angle = np.deg2rad(rng.normal(0, 2.0))
    step = FIELD_MM * rng.uniform(0.92, 1.08) / side_px / pixel_mm
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return View(side_px, step * turn, rng.normal(0, 6.0, 2) / pixel_mm)


def radiograph(
    water_mm: Float[np.ndarray, "y x"], seed: int, bits: int = 8
) -> UInt8[np.ndarray, "y x"] | UInt16[np.ndarray, "y x"]:
    """Expose, read out and window a projection (Beer and Lambert's law, scatter, quantum noise, logarithm).

    Args:
        water_mm: Tissue along each ray, as mm of water.
        seed: Of the exposure and of the window.
        bits: 8 or 16, of a grey value.
    """
    rng = stream(seed, "exposure")
    pixel = water_mm.shape[0] / 256
    primary = np.exp(-PER_MM * water_mm)
    scatter = gaussian_filter(primary, 22 * pixel) * rng.uniform(0.15, 0.5)
    photons = rng.uniform(1.5e4, 6e4)
    counted = (primary + scatter) * photons
    counted += np.sqrt(counted) * stream(seed, "quanta").standard_normal(counted.shape)
    density = -np.log(np.maximum(counted, 1) / photons)
    density = gaussian_filter(density, rng.uniform(0.25, 0.5) * pixel)
    soft = gaussian_filter(density, 9 * pixel)
    density = density + rng.uniform(0.5, 1.3) * (density - soft)  # as the detector's software sharpens
    low, high = np.percentile(
        density[water_mm > BODY_MM], (rng.uniform(8, 14), rng.uniform(76, 88))
    )  # lung, soft tissue
    steep = rng.uniform(3.0, 4.2)
    grey = 1 / (1 + np.exp(-steep * ((density - low) / (high - low) - 0.5)))  # a film's curve
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    return np.rint(grey * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
