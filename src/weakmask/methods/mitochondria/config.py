"""The settings of mitochondria, with the numbers of Li et al. 2021 as defaults; the configs hold those for a CPU.

(P) is the paper (arXiv 2104.07961), (C) its authors' released code, (O) our own choice.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import (
    DEVICES,
    Batch,
    Channels,
    Count,
    DeviceSettings,
    Fraction,
    Rate,
    Seed,
    Settings,
    Shape,
    Share,
    Side,
    Weight,
)
from weakmask.networks.anisotropic_blocks import Norm, Padding
from weakmask.networks.res_unet import WIDTHS_H, WIDTHS_R
from weakmask.training.optimisers import OptimiserName, Schedule

Nanometres = Annotated[float, Field(ge=0.1, le=10_000)]
Pixels = Annotated[float, Field(ge=0, le=8192)]
Overlap = Annotated[int, Field(ge=0, le=8192)]


class DataSettings(Settings):
    """The stacks and their instances."""

    cohort: Path = Field(description="cohort folder to train on: stacks in images/, instances or masks in truth/")
    test: Path | None = Field(default=None, description="cohort folder to evaluate on; null: the validation sections")
    seen: bool = Field(
        default=False, description="true: the test stacks may be among the training stacks, and the report says so"
    )
    spacing_nm: tuple[Nanometres, Nanometres, Nanometres] | None = Field(
        default=None, description="section thickness and pixel size z, y, x in nm; null: those of the files"
    )
    validation: Share = Field(
        default=0.2,
        description="share of the sections of each stack that is kept to choose weights and thresholds (O)",
    )
    validation_at: Literal["first", "last"] = Field(
        default="last", description="the first or the last sections of each stack are those of the validation (O)"
    )


class PrepareSettings(Settings):
    """The grid that the network works on."""

    pixel_nm: Nanometres | None = Field(
        default=None, description="pixels are averaged in blocks to about this size (O); null: the pixels of the files"
    )


class DenoiseSettings(Settings):
    """The removal of noise before the network sees stacks."""

    method: Literal["none", "gaussian", "interpolation"] = Field(
        default="none", description="none, a Gaussian (O), or sections interpolated from their neighbours (P)"
    )
    sigma_pixels: Annotated[float, Field(ge=0, le=20)] = Field(
        default=0.7, description="sigma of the Gaussian within sections, in working pixels (O)"
    )
    sigma_sections: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.5, description="sigma of the Gaussian along z, in sections (O)"
    )
    share: Fraction = Field(
        default=0.5, description="share of the interpolated section in the result, the rest is the section itself (O)"
    )
    kernel: Literal[3, 5, 7] = Field(default=5, description="side of the two predicted kernels in pixels (O; P: 3)")
    width: Channels = Field(default=8, description="base width of the U-Net that predicts them (O)")
    patch: Annotated[int, Field(ge=8, le=1024)] = Field(default=64, description="side of its training patches (O)")
    batch: Batch = Field(default=8, description="patches per step (O)")
    steps: Count = Field(default=300, description="optimiser steps for each stack (O)")
    learning_rate: Rate = Field(default=1e-3, description="learning rate of Adam, poly schedule (O)")


class NetworkSettings(Settings):
    """The network."""

    architecture: Literal["r", "h", "h_paper"] = Field(
        default="r", description="Res-UNet-R (P, C), Res-UNet-H of the code (C), or of the paper: R with two decoders"
    )
    widths: Annotated[tuple[Channels, ...], Field(min_length=2, max_length=8)] | None = Field(
        default=None, description=f"channels of each level; null: {WIDTHS_R} of R, {WIDTHS_H} of H (C)"
    )
    norm: Norm = Field(default="none", description="norm after convolutions: none (C) or batch (O)")
    padding: Padding = Field(
        default="replicate", description="padding of R: replicate (C), or zeros, which are faster (O); H has zeros"
    )
    isotropic: bool = Field(default=False, description="three 3x3x3 convolutions a block, an ablation (O)")

    def described(self) -> tuple[str, dict[str, object]]:
        """Name and arguments of the network."""
        shared: dict[str, object] = {"norm": self.norm, "isotropic": self.isotropic}
        if self.architecture == "h":
            return "res_unet_h", {"widths": list(self.widths or WIDTHS_H), **shared}
        decoders = 2 if self.architecture == "h_paper" else 1
        r = {"widths": list(self.widths or WIDTHS_R), "decoders": decoders, "padding": self.padding}
        return "res_unet_r", {**r, **shared}


class TargetSettings(Settings):
    """The two targets."""

    contour_nm: Nanometres = Field(
        default=16.0, description="half-width of the contour within sections, at least a pixel (C: 2 pixels of 8 nm)"
    )
    part: bool = Field(default=True, description="part touching instances by background before targets are made (C)")
    contour_weight: Weight = Field(default=1.0, description="weight of the contour's loss (P); 0: mask only")


class AugmentationSettings(Settings):
    """Probabilities and ranges of the random changes (C)."""

    flip: bool = Field(default=True, description="mirror z, y and x and exchange y and x, each half of the time")
    rotate: Fraction = Field(default=0.5, description="probability of a rotation within sections by any angle")
    rescale: Fraction = Field(default=0.5, description="probability of a rescaling of y and x by 0.8 to 1.2")
    bend: Fraction = Field(default=0.75, description="probability of an elastic deformation")
    grey: Fraction = Field(default=0.75, description="probability of a change of contrast, brightness and gamma")
    grey_range: Fraction = Field(default=1.0, description="that change's largest size, as a share of the code's (C: 1)")
    missing_part: Fraction = Field(default=0.9, description="probability of bands at the mean grey value")
    band_pixels: Pixels = Field(default=80.0, description="width of these bands")
    missing_section: Fraction = Field(default=0.5, description="probability that two sections are missing")
    misaligned: Fraction = Field(default=0.5, description="probability of a misaligned section or rest of the stack")
    shift_pixels: Annotated[int, Field(ge=0, le=512)] = Field(default=16, description="largest misalignment")
    motion_blur: Fraction = Field(default=0.5, description="probability that two sections are blurred along y or x")
    cut_blur: Fraction = Field(default=0.5, description="probability of a cuboid at a lower resolution")
    cut_noise: Fraction = Field(default=0.75, description="probability of a cuboid with uniform noise")


class TrainSettings(Settings):
    """The training: at one size of patches, then at another."""

    patch: Shape = Field(default=(32, 256, 256), description="voxels of a patch (P)")
    steps: Count = Field(default=200_000, description="optimiser steps (C; P: 20,000)")
    fine_patch: Shape = Field(default=(36, 320, 320), description="voxels of a patch of the fine-tuning (C)")
    fine_steps: Annotated[int, Field(ge=0, le=10**9)] = Field(
        default=10_000, description="optimiser steps of the fine-tuning (P); 0: none"
    )
    batch: Batch = Field(default=2, description="patches per step (C)")
    optimiser: OptimiserName = Field(default="adam", description="adam (P), adamw, radam or sgd")
    learning_rate: Rate = Field(default=1e-4, description="learning rate (P)")
    weight_decay: Weight = Field(default=1e-4, description="weight decay (C)")
    schedule: Schedule = Field(default="constant", description="course of the learning rate (P: constant)")
    warm_up: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1000, description="steps in which the learning rate rises (C)"
    )
    foreground: Fraction = Field(
        default=0.0, description="share of the patches that lie around a voxel of an instance (C: 0; O: 0.5)"
    )
    dark: Fraction = Field(
        default=0.0,
        description="share of the other patches that lie around background as dark as half of the foreground (O; C: 0)",
    )
    class_power: Fraction = Field(
        default=1.0, description="power of the weight of the rarer class in the cross-entropy (C: 1); 0: no weight"
    )
    dice: Weight = Field(default=0.0, description="weight of the soft Dice loss of both targets (O; C: 0)")
    average_decay: Share = Field(default=0.0, description="decay of the moving average of the weights (O); 0: none")
    keep: Literal["best", "last"] = Field(
        default="best", description="weights that become the model: the best on the validation sections, or the last"
    )
    validate_every: Count = Field(default=1000, description="steps between validations")
    checkpoint_every: Count = Field(
        default=500,
        description=(
            "most steps between checkpoints, from which a stopped training continues; one is also written every 3 "
            "minutes"
        ),
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(default="auto", description="number format")


class PredictSettings(Settings):
    """Network -> probabilities of a whole stack."""

    window: Shape = Field(default=(100, 256, 256), description="voxels of the windows that are averaged (C)")
    stride: tuple[Side, Side, Side] = Field(
        default=(50, 128, 128), description="from a window to the next (O; C: 1, 128, 128)"
    )
    padding: tuple[Overlap, Overlap, Overlap] = Field(
        default=(0, 128, 128),
        description="how far windows reach over the faces of a stack, mirrored (C); along z of any stack",
    )
    views: Literal[1, 4, 16] = Field(
        default=1, description="mean over 1, 4 (z mirrored, y and x exchanged) or 16 (and mirrored y, x) views (C)"
    )


class DecoderSettings(Settings):
    """Probabilities -> instances; the search chooses the numbers on the validation sections."""

    method: Literal["watershed", "grow", "components"] = Field(
        default="watershed", description="watershed (P), grow (C: what the released prediction calls) or components"
    )
    search: bool = Field(default=True, description="choose thresholds and least size on the validation sections")
    criterion: Literal["ap_75", "mean_ap", "panoptic"] = Field(
        default="ap_75",
        description=(
            "score that the search raises; the mean AP at IoUs from 0.5 to 0.95 (O) and the panoptic quality (O) "
            "depend less on single instances"
        ),
    )
    seed: Fraction = Field(default=0.9, description="seeds have a mask probability above this (P)")
    contour: Fraction = Field(default=0.8, description="seeds have a contour probability below this (P)")
    mask: Fraction = Field(default=0.85, description="instances lie where the mask probability is above this (C)")
    grow_pixels: Annotated[int, Field(ge=0, le=64)] = Field(default=3, description="pixels that `grow` adds (C)")
    least_nm3: Annotated[float, Field(ge=0, le=1e15)] = Field(
        default=2.5e5, description="smaller instances are dropped (C: 128 voxels of 30 x 8 x 8 nm)"
    )


class MitochondriaSettings(Settings):
    """Everything that changes a number in a run; `denoise` is of stacks to test on and to predict."""

    method: Literal["mitochondria"] = "mitochondria"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    denoise_training: DenoiseSettings = DenoiseSettings()
    denoise: DenoiseSettings = DenoiseSettings()
    network: NetworkSettings = NetworkSettings()
    targets: TargetSettings = TargetSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    train: TrainSettings = TrainSettings()
    predict: PredictSettings = PredictSettings()
    decoder: DecoderSettings = DecoderSettings()
