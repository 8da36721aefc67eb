"""The settings of WSMIS; the defaults fit a CPU.

(P) is the paper (Viniavskyi, Dobko, Dobosevych 2020), (C) its authors' released code, (I) the released code of IRNet
(Ahn, Cho, Kwak 2019), (O) our own choice.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from weakmask.activation.grad_cam import WEIGHTS
from weakmask.config import (
    DEVICES,
    Batch,
    Channels,
    Count,
    Degrees,
    DeviceSettings,
    Factors,
    Fraction,
    Rate,
    Scales,
    Seed,
    Settings,
    Share,
    Weight,
    Window,
)
from weakmask.methods.wsmis.label_settings import LabelSettings
from weakmask.networks.backbones import BACKBONES, LEVELS
from weakmask.training.optimisers import OptimiserName, Schedule

Stride = Literal[8, 16, 32]
Factor = Annotated[float, Field(gt=0, le=1000)]


def _known(name: str, names: Collection[str], what: str) -> str:
    if name not in names:
        raise ValueError(f"expected a {what} of {', '.join(names)}")
    return name


Backbone = Annotated[str, AfterValidator(lambda name: _known(name, BACKBONES, "backbone"))]
Variant = Annotated[str, AfterValidator(lambda name: _known(name, ("cam", *WEIGHTS), "map"))]


class DataSettings(Settings):
    """The pictures and their classes."""

    cohort: Path = Field(description="cohort folder to train on, with images/ and labels.csv (see weakmask check)")
    test: Path | None = Field(default=None, description="cohort folder to evaluate on; null: the validation pictures")
    seen: bool = Field(
        default=False, description="true: the test pictures may be among the training pictures, and the report says so"
    )
    validation: Share = Field(
        default=0.2, description="fraction of the patients kept for validation (O); their classes choose masks.gate"
    )
    split_seed: Seed = Field(default=0, description="random seed of the split (O)")


class PrepareSettings(Settings):
    """How an image becomes a small picture."""

    side: Annotated[int, Field(ge=32, le=4096)] = Field(
        default=224, description="pixels of a side of the square pictures to learn from (O; P: 512; C: 256 to 512)"
    )
    window: Window | None = Field(
        default=None,
        description="grey values from black to white (O); null: 0 to 255 of 8-bit images, else each image's own range",
    )


class NetworkSettings(Settings):
    """The classifier, and the backbone of all networks."""

    backbone: Backbone = Field(
        default="efficientnet_lite0",
        description="efficientnet_lite0 (O), resnet50 (C), se_resnext50_32x4d (P) or vgg16_bn (C)",
    )
    weights: str = Field(
        default="imagenet", description="lite0, imagenet or a path: published weights (P); none: random weights"
    )
    stride: Stride = Field(default=16, description="pixels of a picture per voxel of the classifier's maps (O; C: 8)")
    levels: Annotated[int, Field(ge=2, le=LEVELS)] = Field(
        default=LEVELS,
        description="levels of the backbone that the classifier has; with 3 its maps have a stride of 8 (vgg16_bn: 4)"
        " and see little around a pixel, so that they are sharp (O)",
    )
    pooled: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="share of the map, where a class has its highest logits, whose mean is its logit (O); 1: all of it",
    )
    frozen_stride: Annotated[int, Field(ge=0, le=32)] = Field(
        default=8, description="levels of the backbone up to this stride keep the published weights (O); 0: none (C)"
    )
    dropblock: Share = Field(
        default=0.0, description="share of each map that DropBlock drops (O: 0; C: 0.2 for X-rays, 0.3 for photographs)"
    )
    dropblock_ramp: Fraction = Field(
        default=0.5, description="share of the steps in which that share rises from 0 (O; C: 10 forward passes)"
    )


class AugmentationSettings(Settings):
    """Random changes of the training pictures; the paper names the kinds and no ranges."""

    scales: Factors = Field(default=(0.8, 1.25), description="smallest and largest enlargement (O)")
    angle_degrees: Degrees = Field(default=15.0, description="largest rotation to either side (O)")
    mirror: bool = Field(default=True, description="mirror left and right in every second picture (P)")
    brightness: Fraction = Field(default=0.1, description="largest change of brightness, of a range of 1 (O)")
    contrast: Share = Field(default=0.2, description="contrast within 1 +- this (O)")
    blur: Annotated[float, Field(ge=0, le=100)] = Field(
        default=1.0, description="largest sigma of a Gaussian blur in pixels, in every second one (O)"
    )


class ClassificationSettings(Settings):
    """Training of the classifier."""

    steps: Count = Field(default=100, description="optimiser steps (O; C: 50 epochs)")
    batch: Batch = Field(default=16, description="pictures per step (C: 16; P: 48)")
    optimiser: OptimiserName = Field(default="adamw", description="adamw (O), adam (C: X-rays), radam (C: VOC) or sgd")
    learning_rate: Rate = Field(default=2e-4, description="learning rate of the backbone (O; C: 1e-4)")
    head_factor: Factor = Field(default=10.0, description="times this: learning rate of the new layers (C)")
    weight_decay: Weight = Field(default=1e-4, description="weight decay (O; C: 1e-5)")
    schedule: Schedule = Field(default="cosine", description="course of the learning rate (O; C: steps)")
    warm_up: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=20, description="steps in which the learning rate rises (O)"
    )
    any_class: Share = Field(
        default=0.0,
        description="weight of one more output, any class or none, which has the map of a picture of one class (O);"
        " half of the pictures have none then; 0: no such output",
    )
    validate_every: Count = Field(default=50, description="steps between validations")
    checkpoint_every: Count = Field(default=50, description="steps between checkpoints")
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(default="auto", description="number format")


class MapSettings(Settings):
    """The activation map of each class that is present."""

    variant: Variant = Field(
        default="cam", description="cam (O), gradcam, gradcam++ (P), or the latter as a published code has it"
    )
    stride: Stride = Field(
        default=8, description="pixels of a picture per voxel of the maps: the classifier's layers, dilated (O)"
    )
    scales: Scales = Field(default=(1.0, 1.5), description="sizes of the picture whose maps are averaged (O; C: 1)")
    mirror: bool = Field(default=True, description="average with the map of the mirrored picture (O)")
    rescale: Literal["range", "maximum"] = Field(
        default="range", description="map / its range: from its minimum to its maximum (C), or map / maximum (I)"
    )


class BoundarySettings(Settings):
    """IRNet's boundary network and the random walk within its boundaries; on coarse maps the walk did harm."""

    train: bool = Field(default=False, description="train the boundary network and spread the maps by a walk (O)")
    steps: Count = Field(default=200, description="optimiser steps (O; I: 3 epochs)")
    batch: Batch = Field(default=8, description="pictures per step (O; I: 32; C: 24)")
    learning_rate: Rate = Field(default=0.1, description="learning rate of SGD, poly schedule (I)")
    weight_decay: Weight = Field(default=1e-4, description="weight decay (I)")
    radius: Annotated[float, Field(gt=1, le=50)] = Field(
        default=10.0, description="pairs of pixels are nearer than this (I)"
    )
    walk_radius: Annotated[float, Field(gt=1, le=50)] = Field(
        default=5.0, description="a step of the walk is shorter (I)"
    )
    beta: Factor = Field(default=10.0, description="exponent of the affinities (I)")
    walk_steps: Count = Field(default=16, description="steps of the walk (O; I: 256 on a grid of 128)")
    seeds: Fraction = Field(default=0.6, description="the walk begins where the map is above this value (O; I: 0)")
    background: Fraction = Field(default=0.25, description="a walked map counts above this value (I)")
    checkpoint_every: Count = Field(default=50, description="steps between checkpoints")


class SegmentationSettings(Settings):
    """Training of the segmentation network on the labels."""

    network: Literal["unet", "deeplab_v3", "deeplab_v3_plus"] = Field(
        default="unet", description="unet (P), deeplab_v3 or deeplab_v3_plus (P)"
    )
    stride: Stride = Field(default=16, description="pixels of a picture per voxel of the coarsest map (O; P: 32)")
    widths: Annotated[tuple[Channels, ...], Field(min_length=1, max_length=8)] = Field(
        default=(64, 32, 16), description="channels of the U-Net's decoder, coarsest first (O; C: 256, 128, 64, 32, 16)"
    )
    rounds: Count = Field(
        default=2,
        description="trainings; each but the first learns the masks of the one before, after the CRF or as the part"
        " with the sharpest outline (O)",
    )
    positive_weight: Factor = Field(default=1.0, description="weight of a pixel of a class; background has 1 (O)")
    steps: Count = Field(default=300, description="optimiser steps of each training (O; C: 40 epochs)")
    batch: Batch = Field(default=8, description="pictures per step (O; P: 48; C: 64)")
    optimiser: OptimiserName = Field(default="adamw", description="adamw (O), sgd with momentum 0.9 (P), adam or radam")
    learning_rate: Rate = Field(default=1e-3, description="learning rate of the decoder (O; C: 1e-3; P: 6e-5)")
    encoder_factor: Factor = Field(default=0.2, description="times this: learning rate of the backbone (O; C: 0.1)")
    weight_decay: Weight = Field(default=1e-4, description="weight decay (O; P: 1e-6)")
    schedule: Schedule = Field(default="cosine", description="course of the learning rate (O; C: poly)")
    warm_up: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=20, description="steps in which the learning rate rises (O)"
    )
    log_every: Count = Field(default=20, description="steps between rows of the curves")
    checkpoint_every: Count = Field(default=50, description="steps between checkpoints")
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(default="auto", description="number format")


class MaskSettings(Settings):
    """Network -> mask of an image."""

    mirror: bool = Field(default=True, description="average with the result of the mirrored picture (O)")
    scales: Scales = Field(default=(1.0, 1.25), description="sizes of the picture whose results are averaged (O)")
    weigh: bool = Field(
        default=True,
        description="true: a pixel is of a class where all have more than background, weighed by the classifier (O)",
    )
    region: Literal["all", "sharpest"] = Field(
        default="all",
        description="all: where all classes have more than background; sharpest: if they have that anywhere, the part"
        " that labels.region would cut out of their probability (O)",
    )
    gate: Fraction | None = Field(
        default=None,
        description="an image stays empty where the probability of any class is below this (O); null: see specificity",
    )
    specificity: Fraction = Field(
        default=0.9, description="gate: null: this share of the validation images without any class stays empty (O)"
    )


class WsmisSettings(Settings):
    """Everything that changes a number in a run of WSMIS."""

    method: Literal["wsmis"] = "wsmis"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    classification: ClassificationSettings = ClassificationSettings()
    maps: MapSettings = MapSettings()
    labels: LabelSettings = LabelSettings()
    boundary: BoundarySettings = BoundarySettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    masks: MaskSettings = MaskSettings()

    @model_validator(mode="after")
    def _regions_fit(self) -> "WsmisSettings":
        if self.labels.margin and self.labels.region == self.masks.region == "all":
            raise ValueError("labels.margin widens no region; expected 0, or labels.region or masks.region: sharpest")
        if self.masks.region != "all" and (self.labels.shade == "any" or not self.masks.weigh):
            raise ValueError("masks.region is sharpest; expected a labels.shade, dark or bright, and masks.weigh: true")
        return self
