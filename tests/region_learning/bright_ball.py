"""A scan whose lesions are known, and a network that finds them: what tests of maps start from."""

import numpy as np
import torch
from torch import Tensor, nn

from weakmask.volume.geometry import Direction, Geometry
from weakmask.volume.volume import Volume

IDENTITY: Direction = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
FLIPPED: Direction = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
OBLIQUE: Direction = ((0.96, -0.28, 0.0), (0.28, 0.96, 0.0), (0.0, 0.0, 1.0))


class Brightness(nn.Module):
    """Logit 0 at -600 HU in the paper's window, steep."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(60.0))

    def forward(self, image: Tensor) -> Tensor:
        return self.steepness * (image - 0.4)


def scene(direction: Direction = IDENTITY) -> tuple[Volume, Volume, np.ndarray]:
    """A dark block of two regions with a bright ball in the first; the truth is the ball inside the regions."""
    geometry = Geometry((40, 44, 48), (2.0, 1.8, 2.2), (-30.0, 12.0, 5.0), direction)
    z, y, x = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(geometry.shape, geometry.spacing_mm, strict=True)), indexing="ij"
    )
    distance = np.sqrt((z - 30) ** 2 + (y - 40) ** 2 + (x - 40) ** 2)
    image = np.clip(-600 + 40 * (16 - distance), -900, 0).astype(np.float32)
    regions = np.zeros(geometry.shape, np.uint8)
    regions[4:36, 4:40, 4:24], regions[4:36, 4:40, 24:44] = 1, 2
    return Volume(image, geometry), Volume(regions, geometry, "label"), (distance < 16) & (regions > 0)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())
