"""The settings of dual-task MIL.

(P) is the paper, an abstract of one page (Wang); it names the steps, patches of 5 x 5 and "from easy to hard".
(O) is the package's choice: networks, thresholds, losses and schedules, none of which the paper names.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from weakmask.config import DEVICES, DeviceSettings, Fraction, Rate, Scales, Seed, Settings, Weight
from weakmask.region_learning.bag_settings import BagTrainingSettings, YesNoDataSettings
from weakmask.region_learning.settings import NetworkSettings, PrepareSettings, refuse_huge

Result = Literal["grad-cam", "patches", "segmentation"]


class ClassificationSettings(BagTrainingSettings):
    """The classifier of regions with and without lesions."""

    pool: Literal["region", "crop"] = Field(
        default="region",
        description="place in which its features are averaged: the region, or all of the crop (O)",
    )


class GradCamSettings(Settings):
    """The coarse label: Grad-CAM of the classifier (P)."""

    quantile: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.98, description="quantile of all training maps that becomes 1; one scale for all regions (O)"
    )


class PatchSettings(BagTrainingSettings):
    """The instances: small patches with labels from easy to hard (P)."""

    steps: Annotated[int, Field(ge=1, le=10**9)] = Field(default=240, description="optimiser steps (O)")
    batch: Annotated[int, Field(ge=1, le=4096)] = Field(default=12, description="crops per optimiser step (O)")
    learning_rate: Rate = Field(default=3e-3, description="learning rate (O)")
    size: Annotated[int, Field(ge=1, le=255)] = Field(default=5, description="side of a patch, in voxels of a crop (P)")
    start: Literal["grad-cam", "bag"] = Field(
        default="grad-cam",
        description="first labels of the patches: Grad-CAM, from easy to hard (P); bag: that of the region, always (O)",
    )
    anchor: Weight = Field(
        default=0.0,
        description="weight of the opened picture, less 0.25, in the logit of a patch (O); 0: none, 8: as measured",
    )


class SegmentationSettings(BagTrainingSettings):
    """The segmentation network, which learns the fine labels as if they were masks (P)."""

    steps: Annotated[int, Field(ge=1, le=10**9)] = Field(default=200, description="optimiser steps (O)")
    batch: Annotated[int, Field(ge=1, le=4096)] = Field(default=8, description="crops per optimiser step (O)")
    beta: Fraction = Field(
        default=0.8, description="trust in the labels against the network's own output, in the bootstrapping loss (O)"
    )
    dice: Weight = Field(default=1.0, description="weight of soft Dice beside the bootstrapping loss (O)")


class MapSettings(Settings):
    """The maps and their masks."""

    scales: Scales = Field(default=(1.0,), description="sizes at which the map is computed and averaged (O)")
    of: Result = Field(
        default="segmentation",
        description="step whose maps are the result: segmentation (P), or an earlier one to compare with",
    )


class DualTaskSettings(Settings):
    """Everything that changes a number in a run of dual-task MIL."""

    method: Literal["dual_task_mil"] = "dual_task_mil"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: YesNoDataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    classification: ClassificationSettings = ClassificationSettings()
    grad_cam: GradCamSettings = GradCamSettings()
    patches: PatchSettings = PatchSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    rounds: Literal[1, 2] = Field(
        default=1, description="2: patches, labels and segmentation once more, from the segmentation's own maps (O)"
    )
    maps: MapSettings = MapSettings()

    @model_validator(mode="after")
    def _batches_fit(self) -> "DualTaskSettings":
        for section in ("classification", "patches", "segmentation"):
            refuse_huge(section, getattr(self, section).batch, self.prepare.crop_shape, self.network.width)
        return self
