"""The settings of dRAM with the paper's numbers as defaults.

(P) is the paper (arXiv 2105.11748), (C) the authors' released code, (O) our own choice, measured where docs say so.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from weakmask.config import (
    DEVICES,
    Batch,
    Channels,
    Count,
    Degrees,
    DeviceSettings,
    Factors,
    Fraction,
    Fractions,
    Rate,
    Scales,
    Seed,
    Settings,
    Sigma,
    Sigmas,
    Spacing,
    Weight,
)
from weakmask.refinement.vessels import LUNG_VESSELS_MM
from weakmask.region_learning.settings import (
    Coverage,
    DataSettings,
    NetworkSettings,
    PrepareSettings,
    TrainingSettings,
    refuse_huge,
)


class LossSettings(Settings):
    """Weights and variants of the losses."""

    regression: Weight = Field(default=2.0, description="weight of the interval regression, equation (1) (P)")
    equivariance: Weight = Field(
        default=1.0, description="weight of the equivariance loss, equation (2) (P); 0 is the row `raw`"
    )
    entropy: Weight = Field(default=1.0, description="weight of the entropy loss, equation (3) (P); 0 is the row `raw`")
    frequency_clamp: Fractions = Field(
        default=(0.2, 0.8),
        description=("limits of a score's frequency before it is inverted into a weight (C); [0, 1]: no limits (P)"),
    )
    zero_upper: Fraction = Field(default=0.0, description="upper end of the interval of score 0 (P 0, C 0.01)")
    compare: Literal["fraction", "root"] = Field(
        default="fraction",
        description=(
            "what equation (1) compares: fractions (P), or their square roots, so that small lesions count more (O)"
        ),
    )
    move_scale: Factors = Field(default=(0.8, 1.25), description="range of the random resizing in equation (2) (O)")
    move_degrees: Degrees = Field(default=15.0, description="largest random rotation in equation (2), in degrees (O)")


class VesselSettings(Settings):
    """A network that finds vessels, trained on scans without lesions; a raw dRAM marks vessels as lesions."""

    suppress: bool = Field(
        default=True, description="remove vessels from the target of the refinement (P); false is the row `attention`"
    )
    sigmas_mm: Sigmas = Field(
        default=LUNG_VESSELS_MM, description="scales of Frangi's filter, whose Otsu mask trains the vessel network (O)"
    )
    confidence: Fraction = Field(
        default=0.7, description="output of the vessel network above which a voxel counts as vessel (P)"
    )
    steps: Count = Field(default=3_000, description="optimiser steps of the vessel network (O)")
    learning_rate: Rate = Field(default=1e-3, description="learning rate of the vessel network, with Adam (O)")


class CrfSettings(Settings):
    """The dense CRF that makes the target of the refinement; the paper names no number, so all are (O)."""

    smoothness_mm: Sigma = Field(default=3.0, description="spatial sigma of the smoothness kernel")
    smoothness_weight: Weight = Field(default=2.0, description="weight of the smoothness kernel")
    appearance_mm: Sigma = Field(default=10.0, description="spatial sigma of the appearance kernel")
    appearance_window: Sigma = Field(
        default=0.06,
        description=("intensity sigma of the appearance kernel, as a fraction of the window (0.06 of 1500 HU: 90 HU)"),
    )
    appearance_weight: Weight = Field(default=4.0, description="weight of the appearance kernel")
    iterations: Annotated[int, Field(ge=0, le=1000)] = Field(default=5, description="mean-field iterations; 0: no CRF")


def _odd(voxels: int) -> int:
    if voxels % 2 == 0:
        raise ValueError("an opening has a middle voxel, so its side is odd")
    return voxels


Opening = Annotated[int, Field(ge=1, le=255), AfterValidator(_odd)]


class AnchorSettings(Settings):
    """A deterministic first target: the image after a grey opening, thresholded so that it fits the scores."""

    until: Fraction = Field(
        default=0.0,
        description=(
            "fraction of the training, from its start, whose targets come from the image after a grey opening, not "
            "from the map (O); 0: none"
        ),
    )
    opening_voxels: Opening = Field(
        default=7,
        description=("width of the grey opening, an odd number of crop voxels; narrower bright structures are removed"),
    )


class RefinementSettings(Settings):
    """The refinement branch: a target for each voxel, made from the map itself and trained with the regression."""

    weight: Weight = Field(
        default=1.0, description="weight of the bootstrapping loss, equation (4) (P); 0 is the row `regularizer`"
    )
    beta: Fraction = Field(default=0.8, description="trust in the target against the network's own output (P)")
    attention: bool = Field(
        default=True, description="refine the map by local attention, equation (5) (P); false is the row `refine`"
    )
    include_self: bool = Field(
        default=True, description="count a voxel among its own neighbours in the attention (P), or not (C)"
    )
    rectify: bool = Field(
        default=False, description="apply relu and 1 / sqrt(neighbours) before the attention's softmax (C), or not (P)"
    )
    residual: bool = Field(default=True, description="add the raw map to the attention's output (P), or not (C)")
    start: Fraction = Field(
        default=0.2,
        description="fraction of the training before targets are used, because the first maps are noise (O)",
    )
    keep_to_scores: bool = Field(
        default=False, description="cut each target so that the region's fraction lies in the interval of its score (O)"
    )
    dice: Weight = Field(
        default=0.0, description="weight of soft Dice added to the bootstrapping loss; `weight` multiplies both (O)"
    )
    crf: CrfSettings = CrfSettings()
    anchor: AnchorSettings = AnchorSettings()


class TrueMaskSettings(Settings):
    """True masks of some scans, learnt beside the scores of all (O)."""

    use: bool = Field(
        default=False, description="learn from the masks in truth/ of the scans that have one, beside all scores (O)"
    )
    share: Fraction = Field(default=0.5, description="share of a batch that is drawn from crops with a true mask (O)")
    weight: Weight = Field(
        default=1.0, description="weight of cross-entropy and soft Dice against the true masks, a half each (O)"
    )


class MapSettings(Settings):
    """Activation maps and the threshold that makes masks of them."""

    scales: Scales = Field(
        default=(0.8, 1.0, 1.2, 1.5), description="sizes at which the map is computed and averaged (P)"
    )
    threshold: Fraction | Literal["scores"] = Field(
        default=0.5,
        description=(
            "value above which the map becomes mask; scores: chosen on the training scores by equation (1) (O)"
        ),
    )
    score_set_coverage: Coverage = 0.9


class ContextSettings(Settings):
    """The context network: trained on whole scans and their pseudo-labels, it gives the final masks."""

    train: bool = Field(
        default=True, description="train the context network (P); false: the maps of the regression are the result"
    )
    spacing_mm: Spacing | None = Field(
        default=1.5,
        description="isotropic spacing that the context network works at (P); null: that of the training scans",
    )
    padding: Literal["valid", "same"] = Field(
        default="valid",
        description=("valid: without zero padding, so borders have no effect (P); same: a fifth of the work (O)"),
    )
    window_voxels: Annotated[int, Field(ge=1, le=512)] = Field(
        default=44,
        description=(
            "side of the cube that a window predicts; valid: 4 + 8k, and the network reads 88 voxels more (P)"
        ),
    )
    width: Channels = Field(default=32, description="channels of the first convolution of the context network (P)")
    from_regression: bool = Field(
        default=False,
        description=("start from the weights of the regression; both widths have to be equal (O), or afresh (P)"),
    )
    inside_only: bool = Field(
        default=False,
        description=("use only voxels inside the regions, as the regression does (O), or the surroundings too (P)"),
    )
    crf: bool = Field(default=True, description="apply `refinement.crf` to the maps before pseudo-labels are cut (O)")
    keep_to_scores: bool = Field(
        default=True,
        description="cut pseudo-labels so that each region's fraction lies in the interval of its score (O)",
    )
    beta: Fraction = Field(
        default=0.8, description="trust in the pseudo-labels, of the bootstrapping loss, equation (4) (P)"
    )
    dice: Weight = Field(
        default=0.0, description="weight of soft Dice of the lesions, added to the bootstrapping loss (O)"
    )
    on_lesions: Fraction = Field(
        default=0.5,
        description=(
            "fraction of the windows that are drawn around a lesion; the others lie anywhere in the regions (O)"
        ),
    )
    steps: Count = Field(default=20_000, description="optimiser steps of the context network (O)")
    batch: Batch = Field(default=2, description="windows per optimiser step (P)")
    learning_rate: Rate = Field(default=1e-4, description="learning rate of the context network, with Adam (O)")

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
    seed: Seed = Field(default=0, description="random seed of initialisation, sampling and augmentation")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="where to compute: auto takes a GPU if there is one"
    )
    training: DeviceSettings = DEVICES
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    network: NetworkSettings = NetworkSettings()
    losses: LossSettings = LossSettings()
    vessels: VesselSettings = VesselSettings()
    refinement: RefinementSettings = RefinementSettings()
    true_masks: TrueMaskSettings = TrueMaskSettings()
    regression: TrainingSettings = TrainingSettings()
    maps: MapSettings = MapSettings()
    context: ContextSettings = ContextSettings()

    @model_validator(mode="after")
    def _batches_fit(self) -> "DramSettings":
        refuse_huge("regression", self.regression.batch, self.prepare.crop_shape, self.network.width)
        refuse_huge("context", self.context.batch, 3 * (self.context.window_voxels,), self.context.width)
        return self
