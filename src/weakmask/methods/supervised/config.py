"""The settings of the supervised upper bound: what the same network reaches with true masks instead of scores.

(P) is the dRAM paper (arXiv 2105.11748), (C) its authors' released code, (O) our own choice. The paper's supervised
method is nnU-Net; this is its own U-Net on its own crops, so that only the labels differ. Numbers that both share are
dRAM's.
"""

from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import Settings
from weakmask.methods.by_region.settings import (
    DataSettings,
    Fraction,
    Parts,
    Positive,
    PrepareSettings,
    Sizes,
)
from weakmask.methods.dram.config import NetworkSettings


class LossSettings(Settings):
    """Weights of the two losses, alike as in nnU-Net."""

    cross_entropy: Annotated[float, Field(ge=0)] = Field(default=1.0, description="weight of the cross-entropy (O)")
    dice: Annotated[float, Field(ge=0)] = Field(default=1.0, description="weight of the soft Dice (O)")


class SegmentationSettings(Settings):
    """Training on true masks."""

    steps: Annotated[int, Field(ge=1)] = Field(default=30_000, description="optimiser steps (O: as dRAM's)")
    batch: Annotated[int, Field(ge=1)] = Field(default=10, description="crops per optimiser step (C)")
    accumulate: Parts = Field(default=1, description="parts that a batch is cut into, to save memory")
    optimiser: Literal["adam", "sgd"] = Field(default="adam", description="adam (C) or sgd with momentum 0.9 (P)")
    learning_rate: Positive = Field(default=1e-4, description="adam 1e-4 (C); the paper's sgd: 1e-5")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="cosine", description="learning rate over the run (O)"
    )
    sampling: Literal["balanced", "uniform"] = Field(
        default="balanced", description="draw crops uniformly over scores (C) or not"
    )
    augment: bool = Field(default=True, description="random flips, resizing and contrast stretching (P)")
    contrast: Fraction = Field(default=0.05, description="contrast stretching: gain and gamma within 1 +- this (O)")
    average_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="decay of the moving average of the weights (O); 0: none"
    )
    keep: Literal["best", "last"] = Field(default="best", description="checkpoint that becomes the model")
    validate_every: Annotated[int, Field(ge=1)] = Field(default=500, description="steps between validations")
    checkpoint_every: Annotated[int, Field(ge=1)] = Field(default=250, description="steps between resume points")
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="auto", description="auto: bfloat16 where it is faster"
    )


class MapSettings(Settings):
    """From the network to the mask."""

    scales: Sizes = Field(default=(1.0,), description="resizings averaged into one map (O)")
    threshold: Fraction = Field(default=0.5, description="mask where the map is at least this (O)")


class SupervisedSettings(Settings):
    """Everything that changes a number in a supervised run."""

    method: Literal["supervised"] = "supervised"
    seed: int = Field(default=0, description="of splits, initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where to compute")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    losses: LossSettings = LossSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    maps: MapSettings = MapSettings()
