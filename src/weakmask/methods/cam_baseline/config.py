"""The settings of the CAM baseline with the dRAM paper's numbers as defaults.

(P) is the paper (arXiv 2105.11748, section IV-C-2), (C) its authors' released code, (O) our own choice. The paper
trains the baseline with the numbers of its own method, so these are dRAM's.
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
    Window,
)
from weakmask.refinement.lesion_candidates import WINDOW_HU
from weakmask.refinement.vessels import LUNG_VESSELS_MM


class NetworkSettings(Settings):
    """The classifier: the U-Net's down-sampling path (P)."""

    width: Annotated[int, Field(ge=1)] = Field(default=32, description="channels of the first convolution (C)")


class ClassificationSettings(Settings):
    """Training to tell regions with lesions from regions without."""

    steps: Annotated[int, Field(ge=1)] = Field(
        default=30_000, description="optimiser steps (C: 200 epochs of 1200 draws)"
    )
    batch: Annotated[int, Field(ge=1)] = Field(default=10, description="crops per optimiser step (C)")
    accumulate: Parts = Field(default=1, description="parts that a batch is cut into, to save memory")
    optimiser: Literal["adam", "sgd"] = Field(default="adam", description="adam (C) or sgd with momentum 0.9 (P)")
    learning_rate: Positive = Field(default=1e-4, description="adam 1e-4 (C); the paper's sgd: 1e-5")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="cosine", description="learning rate over the run (O)"
    )
    sampling: Literal["balanced", "uniform"] = Field(
        default="balanced", description="draw as many crops with lesions as without (O), or crops as they come"
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
    """Class activation maps and the mask cut from them by Otsu's threshold over the scan (P)."""

    scales: Sizes = Field(default=(0.8, 1.0, 1.2, 1.5), description="resizings averaged into one map (P)")
    refine: bool = Field(
        default=True, description="keep the mask inside the lesion proposal (P); false is the row `raw`"
    )
    proposal_factor: Positive = Field(
        default=1.0, description="on the proposal's Otsu threshold, from the window's lower end: 1 (P), 0.75 (C)"
    )
    proposal_window: Window = Field(default=WINDOW_HU, description="HU that the proposal's threshold sees (C)")
    exclude_vessels: bool = Field(default=True, description="take vessels out of the proposal (P)")
    vessel_sigmas_mm: Sizes = Field(
        default=LUNG_VESSELS_MM,
        description="scales of the filter whose Otsu mask are the vessels (O; P: a vessel network)",
    )


class CamSettings(Settings):
    """Everything that changes a number in a run of the CAM baseline."""

    method: Literal["cam"] = "cam"
    seed: int = Field(default=0, description="of splits, initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where to compute")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    classification: ClassificationSettings = ClassificationSettings()
    maps: MapSettings = MapSettings()
