"""The settings of DeCoVNet.

(C) is the released code (Wang X. et al., IEEE TMI 39(8), 2020), (O) the package's choice. The code takes the whole
chest as one image and its lungs as a second channel; here each region is an image, its mask the second channel (O).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weakmask.config import Batch, Rate, Seed, Settings, Share
from weakmask.region_learning.bag_settings import BagTrainingSettings, LocalisationSettings, YesNoDataSettings
from weakmask.region_learning.settings import PrepareSettings, refuse_huge

WIDTH = 16  # channels of the first convolution


class NetworkSettings(Settings):
    """The network; its 346,978 weights are fixed (C)."""

    dropout: Share = Field(default=0.0, description="dropout in front of the last convolution (C)")
    shrink: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1, description="divides the grids of the pooled features, for small crops (O); 1 (C)"
    )


class ClassificationSettings(BagTrainingSettings):
    """The training of the classifier."""

    steps: Annotated[int, Field(ge=1, le=10**9)] = Field(
        default=150_000, description="optimiser steps (C: 300 epochs of some 500 scans)"
    )
    batch: Batch = Field(default=1, description="crops per optimiser step (C)")
    learning_rate: Rate = Field(default=1e-5, description="learning rate (C)")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="constant", description="course of the learning rate over the training (C)"
    )
    average_decay: Share = Field(
        default=0.0, description="decay of the moving average of the weights (C); 0: no average"
    )
    validate_every: Annotated[int, Field(ge=1, le=10**9)] = Field(default=500, description="steps between validations")


class DeCoVNetSettings(Settings):
    """Everything that changes a number in a run of DeCoVNet."""

    method: Literal["decovnet"] = "decovnet"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    data: YesNoDataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    classification: ClassificationSettings = ClassificationSettings()
    maps: LocalisationSettings = LocalisationSettings()

    @model_validator(mode="after")
    def _batch_fits(self) -> "DeCoVNetSettings":
        refuse_huge("classification", self.classification.batch, self.prepare.crop_shape, WIDTH)
        return self
