"""The settings of the lobe networks, with PDV-Net's numbers as defaults.

(P) is the PDV-Net paper (arXiv 1902.06362), (G) dense V-Net (Gibson et al. 2018) and its code, (O) our own choice.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import (
    DEVICES,
    Batch,
    Count,
    Degrees,
    DeviceSettings,
    Fraction,
    Rate,
    Seed,
    Settings,
    Share,
    Weight,
)
from weakmask.regions.lobe_frame import FrameSettings
from weakmask.regions.lobe_model import MaskSettings, NetworkSettings

TITLES = {"pdv_net": "PDV-Net", "dense_v_net": "dense V-Net", "v_net": "V-Net", "unet": "2-D U-Net"}


class DataSettings(Settings):
    """The scans and their lobe masks."""

    cohort: Path | None = Field(
        default=None, description="folder with images/ and lobe masks in regions/; null: train on phantoms"
    )
    numbering: str = Field(
        default="weakmask",
        description="tool whose numbering the masks use: weakmask, lungmask, totalsegmentator, rtsu, ...",
    )
    test: Path | None = Field(
        default=None, description="folder with images/ and regions/ to evaluate on; null: the validation scans"
    )
    seen: bool = Field(
        default=False, description="true: the test scans may be among the training scans, and the report says so"
    )
    validation: Share = Field(default=0.1, description="fraction of the scans kept for validation (O)")
    split_seed: Seed = Field(
        default=0,
        description=(
            "random seed of the split; the same for all seeds of a training, so that they can be compared (O)"
        ),
    )
    phantoms: Count = Field(default=200, description="number of phantoms to train on if there is no cohort")
    phantom_seed: Seed = Field(default=0, description="random seed of the phantoms")
    phantom_spacing_mm: Annotated[float, Field(ge=0.5, le=20)] = Field(
        default=2.5, description="voxel size of the phantoms"
    )
    healthy: Fraction = Field(default=0.3, description="fraction of the phantoms without lesions")


class AugmentationSettings(Settings):
    """Random changes of the scans during training (O)."""

    scale: Fraction = Field(default=0.15, description="random resizing of each axis, within 1 +- this")
    angle_degrees: Degrees = Field(default=8.0, description="largest random rotation about each axis")
    shift: Fraction = Field(default=0.05, description="largest random shift along each axis, as a fraction of the side")
    bend: Fraction = Field(default=0.03, description="largest smooth random deformation, as a fraction of the side")
    contrast: Weight = Field(default=0.15, description="contrast stretching: gain and gamma within 1 +- this")
    noise: Weight = Field(
        default=0.05, description="largest standard deviation of added noise, as a fraction of the window"
    )


class SegmentationSettings(Settings):
    """The training."""

    steps: Count = Field(default=30_000, description="optimiser steps (O)")
    batch: Batch = Field(default=2, description="scans per optimiser step (O)")
    learning_rate: Rate = Field(default=0.01, description="learning rate of Adam (P)")
    weight_decay: Weight = Field(default=1e-7, description="weight decay of Adam (P)")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="constant", description="course of the learning rate over the training (P)"
    )
    cross_entropy: Weight = Field(default=0.0, description="weight of a cross-entropy added to the Dice loss (P: none)")
    augment: bool = Field(default=True, description="change the scans at random, as in `augmentation`")
    average_decay: Share = Field(
        default=0.0, description="decay of the moving average of the weights (O); 0: no average"
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="checkpoint that becomes the model: the best on the validation scans, or the last"
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


class LobeSettings(Settings):
    """Everything that changes a number in a run."""

    method: Literal["lobes"] = "lobes"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: DataSettings = DataSettings()
    prepare: FrameSettings = FrameSettings()
    network: NetworkSettings = NetworkSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    masks: MaskSettings = MaskSettings()
