"""The sections of a config that methods share which work region by region: where the scans lie, how they become crops.

(P) is the dRAM paper (arXiv 2105.11748), (C) its authors' released code, (O) our own choice.
"""

from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from weakmask.config import (
    Batch,
    Channels,
    Count,
    Fraction,
    Millimetres,
    Rate,
    Seed,
    Settings,
    Shape,
    Share,
    Spacing,
    Window,
)

AIR_AT_MOST_HU = -500  # a window that begins below shows lung, so the images must be in Hounsfield units
MOST_BYTES = 1 << 40  # of the first feature maps of a batch, in float32


def refuse_huge(section: str, batch: int, shape: tuple[int, ...], width: int) -> None:
    """Refuse a batch whose feature maps no computer holds, although each of its numbers may be good.

    Args:
        section: The section that the batch stands in.
        batch: Crops per step.
        shape: Voxels of a crop.
        width: Channels of the first convolution.

    Raises:
        ValueError: The first feature maps take more than a terabyte.
    """
    needed = 4 * batch * prod(shape) * width
    if needed > MOST_BYTES:
        sides = "x".join(map(str, shape))
        raise ValueError(
            f"{section}.batch {batch}, crops of {sides} voxels and width {width} take {needed / 1e9:,.0f} gb in the "
            "first layer alone; reduce one of them"
        )


def _full(parts: int, info: Any) -> int:  # pydantic's ValidationInfo, which cannot be checked while running
    if parts > info.data.get("batch", parts):
        raise ValueError(f"a batch of {info.data['batch']} cannot be cut into so many parts")
    return parts


Coverage = Annotated[
    Annotated[float, Field(gt=0, lt=1)] | None,
    Field(
        description=(
            "probability that a region's set of scores holds the true one, calibrated on the validation scans (O); "
            "null: no sets"
        )
    ),
]

Parts = Annotated[int, Field(ge=1), AfterValidator(_full)]  # of a batch; the field `batch` stands before it


class DataSettings(Settings):
    """The scans and their scores."""

    cohort: Path = Field(description="cohort folder to train on, with images/ and scores.csv (see weakmask check)")
    test: Path | None = Field(default=None, description="cohort folder to evaluate on; null: the validation scans")
    seen: bool = Field(
        default=False, description="true: the test scans may be among the training scans, and the report says so"
    )
    validation: Share = Field(default=0.093, description="fraction of the scans kept for validation (P: 30 of 322)")
    split_seed: Seed = Field(
        default=0,
        description=(
            "random seed of the split; the same for all seeds of a training, so that they can be compared (O)"
        ),
    )


class PrepareSettings(Settings):
    """How a scan becomes one crop per region."""

    spacing_mm: Spacing | None = Field(
        default=1.2,
        description=("isotropic spacing to resample to before cropping (P 1.2, C 1.0); null: the scan's own grid"),
    )
    margin_mm: Millimetres = Field(default=5.0, description="margin around the region's box (C)")
    crop_shape: Shape = Field(
        default=(80, 80, 80),
        description="voxels of a crop, z y x (P); 1 along z trains a 2-D network on slices and pictures",
    )
    grey_values: Literal["hounsfield", "picture"] = Field(
        default="hounsfield",
        description=(
            "hounsfield: grey values as stored; picture: estimate HU from each CT slice's lung and soft tissue (O)"
        ),
    )
    window: Window = Field(
        default=(-1200.0, 300.0),
        description="grey values kept and rescaled to 0..1, in HU for CT (P); 0 to 255 for 8-bit X-rays",
    )

    @property
    def needs_hounsfield(self) -> bool:
        """Whether images must be in Hounsfield units: those of an X-ray, of MR or of calibrated pictures need not."""
        return self.grey_values == "hounsfield" and self.window[0] < AIR_AT_MOST_HU


class NetworkSettings(Settings):
    """The U-Net."""

    width: Channels = Field(default=32, description="channels of the first convolution (C)")
    initial_probability: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.1, description="value of the map before training, set by the bias of the last layer (O; P: 0.5)"
    )


class TrainingSettings(Settings):
    """Training on crops, with the same numbers for every method, so that methods differ in labels and losses only."""

    steps: Count = Field(default=30_000, description="optimiser steps (C: 200 epochs of 1200 draws)")
    batch: Batch = Field(default=10, description="crops per optimiser step (C)")
    accumulate: Parts = Field(default=1, description="number of parts that each batch is cut into, to save memory")
    optimiser: Literal["adam", "sgd"] = Field(default="adam", description="adam (C), or sgd with momentum 0.9 (P)")
    learning_rate: Rate = Field(default=1e-4, description="learning rate; for adam 1e-4 (C), for sgd 1e-5 (P)")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="cosine", description="course of the learning rate over the training (O)"
    )
    sampling: Literal["balanced", "uniform", "patients"] = Field(
        default="balanced",
        description=(
            "draw equally often: each score, or lesions and none (balanced, C), each patient "
            "(patients, O), each crop (uniform)"
        ),
    )
    augment: bool = Field(default=True, description="flip, resize and stretch the contrast of crops at random (P)")
    contrast: Fraction = Field(
        default=0.05,
        description=("contrast stretching: gain and gamma within 1 +- this (O); little for CT, more for pictures"),
    )
    average_decay: Share = Field(
        default=0.0, description="decay of the moving average of the weights (O); 0: no average"
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="checkpoint that becomes the model: the best on the validation crops, or the last"
    )
    validate_every: Count = Field(default=500, description="steps between validations")
    checkpoint_every: Count = Field(
        default=250,
        description=(
            "most steps between checkpoints, from which a stopped training continues; one is also written every 3 "
            "minutes"
        ),
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="auto", description="number format; auto: bfloat16 where the device is faster with it, else float32"
    )
