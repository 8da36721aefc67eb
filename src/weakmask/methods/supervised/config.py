"""The settings of the supervised upper bound: what the same network reaches with true masks instead of scores.

(P) is the dRAM paper (arXiv 2105.11748), (C) its authors' released code, (O) our own choice. The paper's supervised
method is nnU-Net; this is its own U-Net on its own crops, so that only the labels differ. Numbers that both share are
dRAM's.
"""

from typing import Literal

from pydantic import Field, model_validator

from weakmask.config import DEVICES, DeviceSettings, Fraction, Scales, Seed, Settings, Weight
from weakmask.region_learning.settings import (
    Coverage,
    DataSettings,
    NetworkSettings,
    PrepareSettings,
    TrainingSettings,
    refuse_huge,
)


class LossSettings(Settings):
    """Weights of the two losses, equal as in nnU-Net."""

    cross_entropy: Weight = Field(default=1.0, description="weight of the cross-entropy (O)")
    dice: Weight = Field(default=1.0, description="weight of the soft Dice (O)")


class MapSettings(Settings):
    """How the network's output becomes a mask."""

    scales: Scales = Field(default=(1.0,), description="sizes at which the map is computed and averaged (O)")
    threshold: Fraction = Field(default=0.5, description="value at and above which the map becomes mask (O)")
    score_set_coverage: Coverage = 0.9


class SupervisedSettings(Settings):
    """Everything that changes a number in a supervised run."""

    method: Literal["supervised"] = "supervised"
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    losses: LossSettings = LossSettings()
    segmentation: TrainingSettings = TrainingSettings()
    maps: MapSettings = MapSettings()

    @model_validator(mode="after")
    def _batch_fits(self) -> "SupervisedSettings":
        refuse_huge("segmentation", self.segmentation.batch, self.prepare.crop_shape, self.network.width)
        return self
