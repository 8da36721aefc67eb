"""The settings of the CAM baseline with the dRAM paper's numbers as defaults.

(P) is the paper (arXiv 2105.11748, section IV-C-2), (C) its authors' released code, (O) our own choice. The paper
trains the baseline with the numbers of its own method, so these are dRAM's.
"""

from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import Settings
from weakmask.refinement.lesion_candidates import WINDOW_HU
from weakmask.refinement.vessels import LUNG_VESSELS_MM
from weakmask.region_learning.settings import (
    DataSettings,
    Positive,
    PrepareSettings,
    Sizes,
    TrainingSettings,
    Window,
)


class NetworkSettings(Settings):
    """The classifier: the U-Net's down-sampling path (P)."""

    width: Annotated[int, Field(ge=1)] = Field(default=32, description="channels of the first convolution (C)")


class MapSettings(Settings):
    """Class activation maps and their masks, by Otsu's threshold over the scan (P)."""

    scales: Sizes = Field(
        default=(0.8, 1.0, 1.2, 1.5), description="sizes at which the map is computed and averaged (P)"
    )
    refine: bool = Field(
        default=True,
        description="keep only the part of the mask inside the lesion candidates (P); false is the row `raw`",
    )
    proposal_factor: Positive = Field(
        default=1.0,
        description=("factor on the Otsu threshold of the candidates, from the window's lower end: 1 (P), 0.75 (C)"),
    )
    proposal_window: Window = Field(
        default=WINDOW_HU, description="HU range in which the Otsu threshold of the candidates is computed (C)"
    )
    exclude_vessels: bool = Field(default=True, description="remove vessels from the candidates (P)")
    vessel_sigmas_mm: Sizes = Field(
        default=LUNG_VESSELS_MM,
        description="scales of Frangi's filter, whose Otsu mask is the vessels (O; P: a vessel network)",
    )


class CamSettings(Settings):
    """Everything that changes a number in a run of the CAM baseline."""

    method: Literal["cam"] = "cam"
    seed: int = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    classification: TrainingSettings = TrainingSettings()
    maps: MapSettings = MapSettings()
