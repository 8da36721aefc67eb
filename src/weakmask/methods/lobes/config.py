"""The settings of the lobe networks, with PDV-Net's numbers as defaults.

(P) is the PDV-Net paper (arXiv 1902.06362), (G) dense V-Net (Gibson et al. 2018) and its code, (O) our own choice.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from weakmask.config import Settings
from weakmask.regions.lobe_frame import FrameSettings
from weakmask.regions.lobe_model import MaskSettings, NetworkSettings

Positive = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class DataSettings(Settings):
    """Where the scans and their lobes lie."""

    cohort: Path | None = Field(
        default=None, description="folder with images/ and regions/, the latter lobe masks; null: phantoms"
    )
    numbering: str = Field(default="weakmask", description="whose numbers the masks carry: lungmask, rtsu, ...")
    test: Path | None = Field(default=None, description="such a folder to judge on; null: the validation scans")
    validation: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="part of the scans kept for validation (O)"
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(
        default=0, description="of the split; the same for all seeds of a training, so that they compare (O)"
    )
    phantoms: Count = Field(default=200, description="phantoms to make where there is no cohort")
    phantom_seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of those phantoms")
    phantom_spacing_mm: Positive = Field(default=2.5, description="their voxels")
    healthy: Fraction = Field(default=0.3, description="part of the phantoms without lesions")


class AugmentationSettings(Settings):
    """How scans are changed while the network learns (O)."""

    scale: Fraction = Field(default=0.15, description="resizing of each axis within 1 +- this")
    angle_degrees: Amount = Field(default=8.0, description="turning about each axis, either way")
    shift: Fraction = Field(default=0.05, description="moving along each axis, part of the side, either way")
    bend: Fraction = Field(default=0.03, description="smooth bending, part of the side, either way")
    contrast: Amount = Field(default=0.15, description="gain and gamma within 1 +- this")
    noise: Amount = Field(default=0.05, description="largest standard deviation of noise, of the window")


class SegmentationSettings(Settings):
    """Training."""

    steps: Count = Field(default=30_000, description="optimiser steps (O)")
    batch: Count = Field(default=2, description="scans per optimiser step (O)")
    learning_rate: Positive = Field(default=0.01, description="of Adam (P)")
    weight_decay: Amount = Field(default=1e-7, description="of Adam (P)")
    schedule: Literal["constant", "cosine", "poly"] = Field(
        default="constant", description="learning rate over the run (P)"
    )
    cross_entropy: Amount = Field(default=0.0, description="weight of a cross-entropy beside the Dice loss (P none)")
    augment: bool = Field(default=True, description="change the scans")
    average_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="decay of the moving average of the weights (O); 0: none"
    )
    keep: Literal["best", "last"] = Field(default="best", description="checkpoint that becomes the model")
    validate_every: Count = Field(default=500, description="steps between validations")
    checkpoint_every: Count = Field(default=250, description="steps between resume points")
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="auto", description="auto: bfloat16 where it is faster"
    )


class LobeSettings(Settings):
    """Everything that changes a number in a run."""

    method: Literal["lobes"] = "lobes"
    seed: int = Field(default=0, description="of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where to compute")
    data: DataSettings = DataSettings()
    prepare: FrameSettings = FrameSettings()
    network: NetworkSettings = NetworkSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    masks: MaskSettings = MaskSettings()
