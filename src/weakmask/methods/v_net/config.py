"""The settings of V-Net, with the numbers of Milletari et al. 2016 as defaults.

(P) is the paper (arXiv 1606.04797), (O) our own choice.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import (
    DEVICES,
    Batch,
    Channels,
    Count,
    Degrees,
    DeviceSettings,
    Fraction,
    Rate,
    Seed,
    Settings,
    Shape,
    Share,
    Weight,
)
from weakmask.training.optimisers import OptimiserName, Schedule

Millimetres = Annotated[float, Field(ge=0.05, le=50)]


class DataSettings(Settings):
    """The scans and their masks."""

    cohort: Path = Field(description="cohort folder to train on: scans in images/, masks in truth/")
    test: Path | None = Field(default=None, description="cohort folder to evaluate on; null: the validation scans")
    seen: bool = Field(
        default=False, description="true: the test scans may be among the training scans, and the report says so"
    )
    classes: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=("prostate",), min_length=1, max_length=254, description="names of the labels 1, 2, ... of the masks"
    )
    validation: Share = Field(default=0.1, description="share of the patients kept to choose the weights (O)")
    split_seed: Seed = Field(default=0, description="random seed of that split")


class PrepareSettings(Settings):
    """The grid of the network: the middle of each scan, with z-scores as grey values (O)."""

    spacing_mm: tuple[Millimetres, Millimetres, Millimetres] | None = Field(
        default=(1.5, 1.0, 1.0), description="voxel size z, y, x (P); null: that of each scan"
    )
    shape: Shape = Field(default=(64, 128, 128), description="voxels of the grid z, y, x (P)")


class NetworkSettings(Settings):
    """The network."""

    name: Literal["v_net", "unet"] = Field(default="v_net", description="V-Net (P), or the 3-D U-Net")
    width: Channels = Field(default=16, description="channels of the first stage (P)")
    dropout: Fraction = Field(default=0.0, description="dropout of V-Net (P: none)")


class LossSettings(Settings):
    """Weights of the losses."""

    dice: Weight = Field(default=1.0, description="soft Dice with squared terms (P)")
    cross_entropy: Weight = Field(default=0.0, description="cross-entropy (P: none)")


class AugmentationSettings(Settings):
    """Random changes of the scans (P: B-spline deformations and histogram matching; O)."""

    scale: Fraction = Field(default=0.1, description="random resizing of each axis, within 1 +- this")
    angle_degrees: Degrees = Field(default=10.0, description="largest random rotation about each axis")
    shift: Fraction = Field(default=0.05, description="largest random shift along each axis, as a fraction of the side")
    bend: Fraction = Field(default=0.04, description="largest smooth random deformation, as a fraction of the side")
    contrast: Weight = Field(default=0.2, description="random gain and offset of the z-scores, within this")


class TrainSettings(Settings):
    """The training."""

    steps: Count = Field(default=30_000, description="optimiser steps (O)")
    batch: Batch = Field(default=2, description="scans per step (P)")
    optimiser: OptimiserName = Field(default="sgd", description="sgd with momentum (P: 0.99), adam, adamw or radam")
    learning_rate: Rate = Field(default=1e-4, description="learning rate (P)")
    weight_decay: Weight = Field(default=0.0, description="weight decay")
    schedule: Schedule = Field(default="poly", description="course of the learning rate (P: a tenth every 25,000)")
    average_decay: Share = Field(default=0.0, description="decay of the moving average of the weights (O); 0: none")
    keep: Literal["best", "last"] = Field(default="best", description="weights that become the model")
    validate_every: Count = Field(default=500, description="steps between validations")
    checkpoint_every: Count = Field(default=250, description="most steps between checkpoints")
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(default="auto", description="number format")


class VNetSettings(Settings):
    """Everything that changes a number in a run."""

    method: Literal["v_net"] = "v_net"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    losses: LossSettings = LossSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    train: TrainSettings = TrainSettings()
