"""One scan of the report: the image and the layers drawn over it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from weakmask.report.planes import Frame, facing
from weakmask.volume.volume import Volume

LUNG_WINDOW = (-1350.0, 150.0)  # HU that are black and white where no training says it


@dataclass(frozen=True, eq=False)
class ScanView:
    """Content of a scan's card; all volumes lie on the image's grid.

    Attributes:
        name: The scan's name.
        image: Grey values; a single slice (1, H, W) is shown as one picture.
        window_hu: The grey values that are shown black and white.
        mask: The predicted mask; every non-zero label is lesion.
        activation: The network's map, in [0, 1].
        truth: The reference mask; every non-zero label is lesion.
        regions: Labelled regions (lobes, lungs); the pictures are cropped to them.
        headline: A short line of numbers beside the name, for example `Dice 0.41`.
        rank: Views are shown by ascending rank: give the worst case the lowest.
        region_names: Label -> name of the regions; of a picture, they say where its left and right are.
        link: Address of a page to scroll in, relative to the report; empty: there is none.
        scores: One row per region: `region`, and any of `fraction` (in [0, 1]), `predicted`, `given` (scores).

    Raises:
        ValueError: A volume lies on another grid than the image, or `scores` has no column `region`.
    """

    name: str
    image: Volume
    window_hu: tuple[float, float]
    mask: Volume | None = None
    activation: Volume | None = None
    truth: Volume | None = None
    regions: Volume | None = None
    headline: str = ""
    rank: float = 0.0
    scores: pd.DataFrame | None = None
    region_names: Mapping[int, str] = field(default_factory=dict)
    link: str = ""

    def __post_init__(self) -> None:
        """Check that every layer lies on the image's grid."""
        for what in ("mask", "activation", "truth", "regions"):
            layer: Volume | None = getattr(self, what)
            if layer is not None and not layer.geometry.same_grid(self.image.geometry):
                raise ValueError(f"{self.name}: the {what} lies on {layer!r}, the image on {self.image!r}")
        if self.scores is not None and "region" not in self.scores.columns:
            raise ValueError(f"{self.name}: scores have the columns {list(self.scores.columns)}; expected a `region`")


@dataclass(frozen=True, eq=False)
class Scene:
    """The voxels of a view, turned to face the reader (see `planes`); views of the stored arrays, not copies."""

    frame: Frame
    image: Shaped[np.ndarray, "z y x"]
    mask: Shaped[np.ndarray, "z y x"] | None
    activation: Shaped[np.ndarray, "z y x"] | None
    truth: Shaped[np.ndarray, "z y x"] | None
    regions: Shaped[np.ndarray, "z y x"] | None


def set_scene(view: ScanView) -> Scene:
    """Turn a view to face the reader."""
    frame = facing(view.image.geometry)
    over = (view.mask, view.activation, view.truth, view.regions)
    return Scene(frame, frame.turn(view.image.voxels), *(layer and frame.turn(layer.voxels) for layer in over))
