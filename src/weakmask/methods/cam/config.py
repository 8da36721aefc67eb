"""The settings of the CAM baseline with the dRAM paper's numbers as defaults.

(P) is the paper (arXiv 2105.11748, section IV-C-2), (C) its authors' released code, (O) our own choice. The paper
trains the baseline with the numbers of its own method, so these are dRAM's.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weakmask.config import DEVICES, Channels, DeviceSettings, Scales, Seed, Settings, Sigmas, Window
from weakmask.refinement.lesion_candidates import WINDOW_HU
from weakmask.refinement.vessels import LUNG_VESSELS_MM
from weakmask.region_learning.settings import Coverage, DataSettings, PrepareSettings, TrainingSettings, refuse_huge


class NetworkSettings(Settings):
    """The classifier: the U-Net's down-sampling path (P)."""

    width: Channels = Field(default=32, description="channels of the first convolution (C)")


class MapSettings(Settings):
    """Class activation maps and their masks, by Otsu's threshold over the scan (P)."""

    scales: Scales = Field(
        default=(0.8, 1.0, 1.2, 1.5), description="sizes at which the map is computed and averaged (P)"
    )
    refine: bool = Field(
        default=True,
        description="keep only the part of the mask inside the lesion candidates (P); false is the row `raw`",
    )
    proposal_factor: Annotated[float, Field(gt=0, le=100)] = Field(
        default=1.0,
        description=("factor on the Otsu threshold of the candidates, from the window's lower end: 1 (P), 0.75 (C)"),
    )
    proposal_window: Window = Field(
        default=WINDOW_HU, description="HU range in which the Otsu threshold of the candidates is computed (C)"
    )
    exclude_vessels: bool = Field(default=True, description="remove vessels from the candidates (P)")
    vessel_sigmas_mm: Sigmas = Field(
        default=LUNG_VESSELS_MM,
        description="scales of Frangi's filter, whose Otsu mask is the vessels (O; P: a vessel network)",
    )
    score_set_coverage: Coverage = 0.9


class CamSettings(Settings):
    """Everything that changes a number in a run of the CAM baseline."""

    method: Literal["cam"] = "cam"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    classification: TrainingSettings = TrainingSettings()
    maps: MapSettings = MapSettings()

    @model_validator(mode="after")
    def _batch_fits(self) -> "CamSettings":
        refuse_huge("classification", self.classification.batch, self.prepare.crop_shape, self.network.width)
        return self
