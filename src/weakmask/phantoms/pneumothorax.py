"""A pneumothorax: one lung retracts from the top and the side of its cavity, and air fills the gap.

A point of the lung moves down, by most at the apex, and toward the hilum, by a share of its distance. Both moves have a
plain inverse, so that tissue is resampled and vessels are moved.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from weakmask.phantoms.chest_anatomy import HILUM_MM, LEFT, RIGHT, Patient
from weakmask.phantoms.noise import Grid, stream

STEPS = 400  # of the table that inverts the fall


@dataclass(frozen=True)
class Pneumothorax:
    """How far one lung has retracted; lengths in mm.

    Attributes:
        side: LEFT or RIGHT of the chest.
        hilum_x: Position of the hilum, where the lung stays.
        apex: Height of the apex of the cavity.
        foot: Height below which the lung stays where it is.
        fall: How far the apex of the lung has fallen.
        shrunk: Share of the width that the lung has lost at its apex.
    """

    side: float
    hilum_x: float
    apex: float
    foot: float
    fall: float
    shrunk: float

    @property
    def density(self) -> float:
        """How much denser the lung has become, on average."""
        return min(1 / (1 - 0.5 * self.shrunk), 2.5)

    def moved(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Where points (z, y, x) of the healthy lung are after the retraction; other points stay."""
        z = points[:, 0] - self.fall * self._ramp(points[:, 0])
        x = points[:, 2]
        lateral = (x - self.hilum_x) * self.side
        far = self.hilum_x + (x - self.hilum_x) * self._width(z)
        there = x * self.side > 0
        moved = points.copy()
        moved[:, 0] = np.where(there, z, points[:, 0])
        moved[:, 2] = np.where(there & (lateral > 0), far, x)
        return moved

    def retracted(self, grid: Grid, values: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "z y x"]:
        """Values of the healthy chest on a grid, as they lie after the retraction; the other side is unchanged."""
        heights = np.linspace(self.foot - 400, self.apex + 100, STEPS)
        fallen = heights - self.fall * self._ramp(heights)
        z, _, x = grid.axes
        source_z = np.interp(z, fallen, heights)
        lateral = np.maximum((x - self.hilum_x) * self.side, 0)
        source_x = x[None, :] + self.side * lateral[None, :] * (1 / self._width(z)[:, None] - 1)
        columns = np.flatnonzero(x * self.side > 0)
        step_z, _, step_x = grid.spacing_mm
        at_z = np.broadcast_to(((source_z - z[0]) / step_z)[:, None], source_x.shape)[:, columns]
        at_x = ((source_x - x[0]) / step_x)[:, columns]
        out = values.copy()
        for k in range(values.shape[1]):
            out[:, k, columns] = map_coordinates(values[:, k], [at_z, at_x], order=1, mode="nearest")
        return out

    def _ramp(self, z: np.ndarray) -> np.ndarray:
        """0 below the foot, 1 at the apex."""
        t = np.clip((z - self.foot) / (self.apex - self.foot), 0, 1)
        return t * t * (3 - 2 * t)

    def _width(self, z: np.ndarray) -> np.ndarray:
        """Width of the retracted lung at a height, relative to the healthy lung."""
        return 1 - self.shrunk * self._ramp(z)


def draw_pneumothorax(patient: Patient, seed: int, size: float = 1.0) -> Pneumothorax:
    """Draw a pneumothorax: mostly a small cap over the apex, sometimes a crescent along the whole lung.

    Args:
        patient: The patient.
        seed: Of the draw.
        size: Factor on how far the lung retracts, and its root on the height of that part.
    """
    rng = stream(seed, "pneumothorax")
    side = LEFT if rng.random() < 0.5 else RIGHT
    reach = float(size**0.5 * (0.2 + 1.2 * rng.random() ** 2))  # height of the part that retracts, in lungs
    retracted = float(np.clip(size * rng.lognormal(np.log(0.14), 0.7), 0.06, 0.7))
    tall = reach * patient.height_mm
    return Pneumothorax(
        side=side,
        hilum_x=HILUM_MM[side][2] * patient.size,
        apex=patient.apex_mm,
        foot=patient.apex_mm - tall,
        fall=min(retracted * float(rng.uniform(0.4, 1.0)) * 110.0, 0.55 * tall),
        shrunk=min(retracted * float(rng.uniform(0.6, 1.3)), 0.75),
    )
