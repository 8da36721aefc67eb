"""The settings of AD3D-MIL.

(P) is the paper (Han et al., IEEE TMI 39(8), 2020), (C) the released code, (O) the package's choice. The code takes a
whole chest as one bag; here each region is a bag (O).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weakmask.config import DEVICES, Count, DeviceSettings, Seed, Settings
from weakmask.region_learning.bag_settings import LocalisationSettings, ReleasedTrainingSettings, YesNoDataSettings
from weakmask.region_learning.settings import PrepareSettings, refuse_huge

WIDTH = 16  # channels of the first convolution


class NetworkSettings(Settings):
    """The network; its 315,378 weights are fixed with the default pooling (C)."""

    pooling: Literal["attention", "gated", "mean", "max"] = Field(
        default="attention",
        description="how instances become a bag: attention (P), gated (Ilse et al.), mean (C of two classes), max (O)",
    )
    shrink: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1, description="divides the grids of the pooled features, for small crops (O); 1 (C)"
    )


class ClassificationSettings(ReleasedTrainingSettings):
    """The training of the classifier."""

    steps: Count = Field(default=25_000, description="optimiser steps (C: 50 epochs of some 500 scans)")


class MapSettings(LocalisationSettings):
    """The maps and their masks."""

    of: Literal["instance", "attention"] = Field(
        default="instance",
        description="instance: the last layer's probability of each instance (O); attention: its weight in the bag (P)",
    )


class AD3DMILSettings(Settings):
    """Everything that changes a number in a run of AD3D-MIL."""

    method: Literal["ad3d_mil"] = "ad3d_mil"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: YesNoDataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    classification: ClassificationSettings = ClassificationSettings()
    maps: MapSettings = MapSettings()

    @model_validator(mode="after")
    def _fits(self) -> "AD3DMILSettings":
        if self.maps.of == "attention" and self.network.pooling not in {"attention", "gated"}:
            raise ValueError(f"maps.of is attention, and network.pooling {self.network.pooling} has none; set instance")
        refuse_huge("classification", self.classification.batch, self.prepare.crop_shape, WIDTH)
        return self
