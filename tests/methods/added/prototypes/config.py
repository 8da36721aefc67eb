"""The settings of the colour prototypes; all numbers are our own choice (O)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import Settings

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class DataSettings(Settings):
    """The pictures and their classes."""

    cohort: Path = Field(description="cohort folder with images/ and labels.csv")
    validation: Fraction = Field(default=0.25, description="fraction of the pictures to evaluate on (O)")
    split_seed: int = Field(default=0, description="random seed of the split (O)")


class PrepareSettings(Settings):
    """How a picture is made small."""

    side: Count = Field(default=24, description="pixels of a side of the small pictures (O)")


class NetworkSettings(Settings):
    """The distance to a colour as a logit."""

    sharpness: Positive = Field(default=30.0, description="logit per squared distance between colours (O)")


class LearningSettings(Settings):
    """Training of the colours."""

    steps: Count = Field(default=300, description="optimiser steps (O)")
    batch: Count = Field(default=16, description="pictures per step (O)")
    learning_rate: Positive = Field(default=0.02, description="of Adam (O)")
    highest: Fraction = Field(default=0.1, description="share of the pixels that show that a class is present (O)")
    checkpoint_every: Count = Field(default=50, description="steps between checkpoints (O)")


class PrototypeSettings(Settings):
    """Everything that changes a number in a run."""

    method: Literal["prototypes"] = "prototypes"
    seed: int = Field(default=0, description="random seed of initialisation and sampling")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where to compute")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    learning: LearningSettings = LearningSettings()
