"""The settings of dRAM with the paper's numbers as defaults.

(P) is the paper (arXiv 2105.11748), (C) the authors' released code, (O) our own choice, measured where docs say so.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from weakmask.config import Settings
from weakmask.refinement.vessels import LUNG_VESSELS_MM
from weakmask.region_learning.settings import (
    DataSettings,
    Fraction,
    NetworkSettings,
    Positive,
    PrepareSettings,
    Side,
    Sizes,
    TrainingSettings,
)


class LossSettings(Settings):
    """Weights and variants of the losses."""

    regression: Annotated[float, Field(ge=0)] = Field(
        default=2.0, description="weight of the interval regression (1) (P)"
    )
    equivariance: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="weight of (2) (P); 0 is the row `raw`"
    )
    entropy: Annotated[float, Field(ge=0)] = Field(default=1.0, description="weight of (3) (P); 0 is the row `raw`")
    frequency_clamp: tuple[Fraction, Fraction] = Field(
        default=(0.2, 0.8), description="score frequencies are clamped to this before inversion (C); [0, 1]: not (P)"
    )
    zero_upper: Fraction = Field(default=0.0, description="upper end of score 0's interval (P 0, C 0.01)")
    compare: Literal["fraction", "root"] = Field(
        default="fraction",
        description="what (1) compares: fractions (P), or their square roots, so that small lesions count too (O)",
    )
    move_scale: tuple[Positive, Positive] = Field(
        default=(0.8, 1.25), description="resizing range of the move in (2) (O)"
    )
    move_degrees: Annotated[float, Field(ge=0, le=180)] = Field(
        default=15.0, description="largest angle of the move in (2), about a random axis (O)"
    )


class VesselSettings(Settings):
    """Vessels, which a raw dRAM marks too: found by a network that is trained on scans without lesions."""

    suppress: bool = Field(
        default=True, description="take vessels out of the refinement's target (P); false is the row `attention`"
    )
    sigmas_mm: Sizes = Field(
        default=LUNG_VESSELS_MM, description="scales of the Frangi filter whose Otsu mask is the reference (O)"
    )
    confidence: Fraction = Field(default=0.7, description="of the vessel network, above which a voxel is vessel (P)")
    steps: Annotated[int, Field(ge=1)] = Field(default=3_000, description="optimiser steps of the vessel network (O)")
    learning_rate: Positive = Field(default=1e-3, description="adam (O)")


class CrfSettings(Settings):
    """The dense CRF that makes the refinement's target; the paper publishes no number, so all are (O)."""

    smoothness_mm: Positive = Field(default=3.0, description="sigma of the smoothness kernel")
    smoothness_weight: Annotated[float, Field(ge=0)] = Field(default=2.0, description="its weight")
    appearance_mm: Positive = Field(default=10.0, description="sigma of space of the appearance kernel")
    appearance_window: Positive = Field(
        default=0.06, description="sigma of intensity, as a part of the window (0.06 of 1500 HU: 90 HU)"
    )
    appearance_weight: Annotated[float, Field(ge=0)] = Field(default=4.0, description="its weight")
    iterations: Annotated[int, Field(ge=0)] = Field(default=5, description="of mean field; 0: no CRF")


def _odd(voxels: int) -> int:
    if voxels % 2 == 0:
        raise ValueError("an opening has a middle voxel, so its side is odd")
    return voxels


class AnchorSettings(Settings):
    """A first target without chance: the image itself, narrow bright things opened away, cut by the scores."""

    until: Fraction = Field(
        default=0.0,
        description="part of the training whose target is cut from the opened image instead of the map (O); 0: none",
    )
    opening_voxels: Annotated[int, Field(ge=1), AfterValidator(_odd)] = Field(
        default=7, description="of a crop, odd: brighter things that are narrower, vessels above all, are opened away"
    )


class RefinementSettings(Settings):
    """The refinement branch: a voxel-wise target made of the map itself, trained together with the regression."""

    weight: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="of the bootstrapping loss (4) (P); 0 is the row `regularizer`"
    )
    beta: Fraction = Field(default=0.8, description="trust in the target (P)")
    attention: bool = Field(
        default=True, description="revise the map by local attention (5) (P); false is the row `refine`"
    )
    include_self: bool = Field(default=True, description="a voxel is its own neighbour (P), or not (C)")
    rectify: bool = Field(default=False, description="relu and 1 / sqrt(neighbours) before the softmax (C), or not (P)")
    residual: bool = Field(default=True, description="add the map itself (P), or not (C)")
    start: Fraction = Field(
        default=0.2, description="part of the training before the target is trusted (O): first maps are noise"
    )
    keep_to_scores: bool = Field(
        default=False, description="cut the target where each region's fraction falls into its score's interval (O)"
    )
    dice: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="weight of soft Dice beside the bootstrapping loss, within `weight` (O)"
    )
    crf: CrfSettings = CrfSettings()
    anchor: AnchorSettings = AnchorSettings()


class MapSettings(Settings):
    """Activation maps and the mask cut from them."""

    scales: Sizes = Field(default=(0.8, 1.0, 1.2, 1.5), description="resizings averaged into one map (P)")
    threshold: Fraction | Literal["scores"] = Field(
        default=0.5, description="mask where the map exceeds it; scores: chosen on the training scores by loss (1) (O)"
    )


class ContextSettings(Settings):
    """The context network: trained on whole scans with what the regression found in them, it answers on its own."""

    train: bool = Field(default=True, description="the last stage (P); false: the regression's maps are the answer")
    spacing_mm: Positive | None = Field(
        default=1.5, description="isotropic spacing it works at (P); null: the scan's own grid"
    )
    padding: Literal["valid", "same"] = Field(
        default="valid", description="valid: no border tells on the answer (P); same: a fifth of the work (O)"
    )
    window_voxels: Side = Field(
        default=44,
        description="side of what a window answers for; valid: 4 + 8k, and it reads 88 more (P)",
    )
    width: Annotated[int, Field(ge=1)] = Field(default=32, description="channels of the first convolution (P)")
    from_regression: bool = Field(
        default=False, description="start from the regression's weights, where the widths are equal (O), or afresh (P)"
    )
    inside_only: bool = Field(
        default=False, description="see and learn the regions alone, as the regression does (O), or all around too (P)"
    )
    crf: bool = Field(default=True, description="sharpen the maps on the scan by `refinement.crf` first (O)")
    keep_to_scores: bool = Field(
        default=True, description="cut a map where its region's fraction falls into the score's interval (O)"
    )
    beta: Fraction = Field(default=0.8, description="trust in the pseudo-labels, of the bootstrapping loss (4) (P)")
    dice: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="weight of soft Dice of the lesions beside it (O)"
    )
    on_lesions: Fraction = Field(
        default=0.5, description="part of the windows drawn around a lesion, the rest anywhere in the regions (O)"
    )
    steps: Annotated[int, Field(ge=1)] = Field(default=20_000, description="optimiser steps (O)")
    batch: Annotated[int, Field(ge=1)] = Field(default=2, description="windows per step (P)")
    learning_rate: Positive = Field(default=1e-4, description="adam (O)")

    @model_validator(mode="after")
    def _window_fits(self) -> "ContextSettings":
        voxels = self.window_voxels
        if self.padding == "valid" and (voxels < 4 or (voxels - 4) % 8):  # what three poolings leave over
            raise ValueError(f"window_voxels is {voxels}; valid convolutions leave 4, 12, 20, ..., 44, ... voxels")
        if self.padding == "same" and voxels < 16:  # below, batch norm has one voxel at the bottom of the network
            raise ValueError(f"window_voxels is {voxels}; with zero padding a window has at least 16 voxels")
        return self


class DramSettings(Settings):
    """Everything that changes a number in a dRAM run."""

    method: Literal["dram"] = "dram"
    seed: int = Field(default=0, description="of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where to compute")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    losses: LossSettings = LossSettings()
    vessels: VesselSettings = VesselSettings()
    refinement: RefinementSettings = RefinementSettings()
    regression: TrainingSettings = TrainingSettings()
    maps: MapSettings = MapSettings()
    context: ContextSettings = ContextSettings()
