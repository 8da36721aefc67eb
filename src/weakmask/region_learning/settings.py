"""The sections of a config that methods share which work region by region: where the scans lie, how they become crops.

(P) is the dRAM paper (arXiv 2105.11748), (C) its authors' released code, (O) our own choice.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from weakmask.config import Settings

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=1)]
Sizes = Annotated[tuple[Positive, ...], Field(min_length=1)]


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError("the first must be below the second")
    return pair


Window = Annotated[tuple[float, float], AfterValidator(_rising)]


def _full(parts: int, info: Any) -> int:  # pydantic's ValidationInfo, which cannot be checked while running
    if parts > info.data.get("batch", parts):
        raise ValueError(f"a batch of {info.data['batch']} cannot be cut into so many parts")
    return parts


Parts = Annotated[int, Field(ge=1), AfterValidator(_full)]  # of a batch; the field `batch` stands before it


class DataSettings(Settings):
    """Where the scans and their scores lie."""

    cohort: Path = Field(description="cohort folder to train on: images/, scores.csv, regions/ (see weakmask check)")
    test: Path | None = Field(default=None, description="cohort to judge on; null: the validation scans")
    validation: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=30 / 322, description="part of the scans kept for validation (P: 30 of 322)"
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(
        default=0, description="of the split; the same for all seeds of a training, so that they compare (O)"
    )


class PrepareSettings(Settings):
    """Scan -> one crop per region."""

    spacing_mm: Positive | None = Field(
        default=1.2, description="isotropic spacing before cropping (P 1.2, C 1.0); null: crop from the scan's own grid"
    )
    margin_mm: Annotated[float, Field(ge=0)] = Field(default=5.0, description="around the region's box (C)")
    crop_shape: tuple[Side, Side, Side] = Field(
        default=(80, 80, 80), description="voxels of a crop, z y x (P); 1 along z trains the 2-D network on slices"
    )
    grey_values: Literal["hounsfield", "picture"] = Field(
        default="hounsfield",
        description="hounsfield: as stored; picture: brought to about HU by each picture's lung and soft tissue (O)",
    )
    window: Window = Field(default=(-1200.0, 300.0), description="HU clamped and rescaled to 0..1 (P)")


class NetworkSettings(Settings):
    """The U-Net."""

    width: Annotated[int, Field(ge=1)] = Field(default=32, description="channels of the first convolution (C)")
    initial_probability: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.1, description="activation at initialisation, set by the head's bias (O; 0.5: Kaiming alone, P)"
    )


class TrainingSettings(Settings):
    """Training on crops, with dRAM's numbers for every method: compared methods differ in labels and losses alone."""

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
    sampling: Literal["balanced", "uniform", "patients"] = Field(
        default="balanced",
        description="balanced: each score, or lesions and none, equally often (C); patients: each patient (O); uniform",
    )
    augment: bool = Field(default=True, description="random flips, resizing and contrast stretching (P)")
    contrast: Fraction = Field(
        default=0.05,
        description="contrast stretching: gain and gamma within 1 +- this (O); HU mean something, so little",
    )
    average_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="decay of the moving average of the weights (O); 0: none"
    )
    keep: Literal["best", "last"] = Field(default="best", description="checkpoint that becomes the model")
    validate_every: Annotated[int, Field(ge=1)] = Field(default=500, description="steps between validations")
    checkpoint_every: Annotated[int, Field(ge=1)] = Field(default=250, description="steps between resume points")
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="auto", description="auto: bfloat16 where it is faster"
    )
