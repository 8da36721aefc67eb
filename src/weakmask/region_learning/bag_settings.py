"""The sections of a config that methods share which learn from a yes or no per region; all numbers are (O)."""

from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import Batch, Count, Fraction, Grey, Rate, Scales, Settings, Share
from weakmask.region_learning.settings import DataSettings, Parts


class YesNoDataSettings(DataSettings):
    """The scans, and whether each region has a lesion."""

    validation: Share = Field(
        default=0.2, description="fraction of the patients kept back, for the AUC and for the cut of the maps (O)"
    )
    finding: str = Field(
        default="",
        max_length=200,
        description="class of labels.csv that is the lesion; empty: its only class; scores count as yes above none",
    )


class BagTrainingSettings(Settings):
    """A training that draws yes and no in turn, and within each all patients equally often."""

    steps: Count = Field(default=400, description="optimiser steps (O)")
    batch: Batch = Field(default=16, description="crops per optimiser step (O)")
    accumulate: Parts = Field(default=1, description="number of parts that each batch is cut into, to save memory")
    optimiser: Literal["adam", "sgd"] = Field(default="adam", description="the optimiser (O)")
    learning_rate: Rate = Field(default=2e-3, description="learning rate (O)")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="cosine", description="course of the learning rate over the training (O)"
    )
    augment: bool = Field(default=True, description="flip, resize, blur and stretch the contrast of crops at random")
    contrast: Fraction = Field(
        default=0.03,
        description="contrast stretching: gain and gamma within 1 +- this, offset half of it, noise a fifth (O)",
    )
    blur: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.7, description="largest sigma of a random blur within slices, in pixels of a crop (O); 0: none"
    )
    average_decay: Share = Field(
        default=0.98, description="decay of the moving average of the weights (O); 0: no average"
    )
    validate_every: Count = Field(default=100, description="steps between validations")
    checkpoint_every: Count = Field(
        default=50,
        description=(
            "most steps between checkpoints, from which a stopped training continues; one is also written every 3 "
            "minutes"
        ),
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="auto", description="number format; auto: bfloat16 where the device is faster with it, else float32"
    )


class ReleasedTrainingSettings(BagTrainingSettings):
    """The training as in the released codes of DeCoVNet and AD3D-MIL; the number of steps is a method's own."""

    batch: Batch = Field(default=1, description="crops per optimiser step (C)")
    learning_rate: Rate = Field(default=1e-5, description="learning rate (C)")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="constant", description="course of the learning rate over the training (C)"
    )
    average_decay: Share = Field(
        default=0.0, description="decay of the moving average of the weights (C); 0: no average"
    )
    validate_every: Count = Field(default=500, description="steps between validations")


class LocalisationSettings(Settings):
    """The maps of a classifier and their masks."""

    scales: Scales = Field(default=(1.0,), description="sizes at which the map is computed and averaged (O)")
    rule: Literal["clean cut", "highest"] = Field(
        default="clean cut",
        description=(
            "clean cut: where half of the held-out regions without lesions have less than 1 % marked (O); highest: the "
            "highest `share` of the regions (C of DeCoVNet)"
        ),
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05, description="part of the voxels of a scan's regions that the rule `highest` marks (C of DeCoVNet)"
    )
    gate_hu: Grey | None = Field(
        default=-671.0, description="only voxels brighter than this are marked (C of DeCoVNet); null: all"
    )
