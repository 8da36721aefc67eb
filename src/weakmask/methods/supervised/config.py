"""The settings of the supervised upper bound: what the same network reaches with true masks instead of scores.

(P) is the dRAM paper (arXiv 2105.11748), (C) its authors' released code, (O) our own choice. The paper's supervised
method is nnU-Net; this is its own U-Net on its own crops, so that only the labels differ. Numbers that both share are
dRAM's.
"""

from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import Settings
from weakmask.region_learning.settings import (
    DataSettings,
    Fraction,
    NetworkSettings,
    PrepareSettings,
    Sizes,
    TrainingSettings,
)


class LossSettings(Settings):
    """Weights of the two losses, equal as in nnU-Net."""

    cross_entropy: Annotated[float, Field(ge=0)] = Field(default=1.0, description="weight of the cross-entropy (O)")
    dice: Annotated[float, Field(ge=0)] = Field(default=1.0, description="weight of the soft Dice (O)")


class MapSettings(Settings):
    """How the network's output becomes a mask."""

    scales: Sizes = Field(default=(1.0,), description="sizes at which the map is computed and averaged (O)")
    threshold: Fraction = Field(default=0.5, description="value at and above which the map becomes mask (O)")


class SupervisedSettings(Settings):
    """Everything that changes a number in a supervised run."""

    method: Literal["supervised"] = "supervised"
    seed: int = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    losses: LossSettings = LossSettings()
    segmentation: TrainingSettings = TrainingSettings()
    maps: MapSettings = MapSettings()
