"""The settings of DeCoVNet.

(C) is the released code (Wang X. et al., IEEE TMI 39(8), 2020), (O) the package's choice. The code takes the whole
chest as one image and its lungs as a second channel; here each region is an image, its mask the second channel (O).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weakmask.config import DEVICES, Count, DeviceSettings, Seed, Settings, Share
from weakmask.region_learning.bag_settings import LocalisationSettings, ReleasedTrainingSettings, YesNoDataSettings
from weakmask.region_learning.settings import PrepareSettings, refuse_huge

WIDTH = 16  # channels of the first convolution


class NetworkSettings(Settings):
    """The network; its 346,978 weights are fixed (C)."""

    dropout: Share = Field(default=0.0, description="dropout in front of the last convolution (C)")
    shrink: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1, description="divides the grids of the pooled features, for small crops (O); 1 (C)"
    )


class ClassificationSettings(ReleasedTrainingSettings):
    """The training of the classifier."""

    steps: Count = Field(default=150_000, description="optimiser steps (C: 300 epochs of some 500 scans)")


class DeCoVNetSettings(Settings):
    """Everything that changes a number in a run of DeCoVNet."""

    method: Literal["decovnet"] = "decovnet"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: YesNoDataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    classification: ClassificationSettings = ClassificationSettings()
    maps: LocalisationSettings = LocalisationSettings()

    @model_validator(mode="after")
    def _batch_fits(self) -> "DeCoVNetSettings":
        refuse_huge("classification", self.classification.batch, self.prepare.crop_shape, WIDTH)
        return self
