"""The settings of the lobe networks, with PDV-Net's numbers as defaults.

(P) is the PDV-Net paper (arXiv 1902.06362), (G) dense V-Net (Gibson et al. 2018) and its code, (O) our own choice.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from weakmask.config import Settings

Positive = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Three = tuple[Count, Count, Count]
GREY_RANGE = (0.0, 1000.0)  # what `grey_values: percentiles` brings a scan to


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
    phantoms: Count = Field(default=200, description="phantoms to make where there is no cohort")
    phantom_seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of those phantoms")
    phantom_spacing_mm: Positive = Field(default=2.5, description="their voxels")
    healthy: Fraction = Field(default=0.3, description="part of the phantoms without lesions")


class PrepareSettings(Settings):
    """Scan -> the network's grid."""

    shape: Three = Field(default=(64, 512, 512), description="voxels of the grid, z y x (P)")
    frame: Literal["scan", "lungs"] = Field(
        default="scan", description="what the grid spans: the whole scan (P), or the lungs by threshold (O)"
    )
    margin_mm: Amount = Field(default=10.0, description="around the lungs, where they are the frame (O)")
    outside: Literal["keep", "blank"] = Field(
        default="keep", description="voxels outside the lungs: as they are (P), or blank (O)"
    )
    grey_values: Literal["hounsfield", "percentiles"] = Field(
        default="hounsfield",
        description="hounsfield: as stored; percentiles: each scan's 1st and 99th become 0 and 1000 (MR)",
    )
    window: tuple[float, float] = Field(default=(-1000.0, 400.0), description="clamped and rescaled to 0..1 (O)")

    @property
    def needs_field(self) -> bool:
        """Whether a scan's lungs must be found before the network can be asked."""
        return self.frame == "lungs" or self.outside == "blank"


class NetworkSettings(Settings):
    """Which network, and its numbers; a network takes those that it has."""

    name: Literal["pdv_net", "dense_v_net", "v_net", "unet"] = Field(
        default="pdv_net", description="unet works slice by slice"
    )
    kernels: Count = Field(default=24, description="of the first convolution of the dense networks (P, G)")
    growth: Three = Field(default=(4, 6, 8), description="channels per dense layer (P 4 6 8, G 4 8 16)")
    layers: Three = Field(default=(5, 10, 10), description="of each dense block (P, G)")
    width: Count = Field(default=16, description="channels of the first stage of v_net (its paper: 16) and unet")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.2, description="not of unet (O; G 0.5)")

    def arguments(self, classes: int) -> dict[str, Any]:
        """What `build_network` is given."""
        if self.name == "unet":
            return {"dimensions": 2, "out_channels": classes, "width": self.width}
        if self.name == "v_net":
            return {"out_channels": classes, "width": self.width, "dropout": self.dropout}
        dense = {"kernels": self.kernels, "growth": self.growth, "layers": self.layers, "dropout": self.dropout}
        return {"out_channels": classes, **dense}


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


class MaskSettings(Settings):
    """From the network to the label map."""

    confine: Literal["lungs", "nothing"] = Field(
        default="lungs",
        description="lungs: every voxel of the lungs by threshold gets a lobe of its side, no other voxel does (O)",
    )
    fissures: bool = Field(
        default=True,
        description="move the borders onto the fissures that a CT shows, where lungs confine the lobes (O)",
    )


class LobeSettings(Settings):
    """Everything that changes a number in a run."""

    method: Literal["lobes"] = "lobes"
    seed: int = Field(default=0, description="of splits, initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where to compute")
    data: DataSettings = DataSettings()
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    masks: MaskSettings = MaskSettings()
