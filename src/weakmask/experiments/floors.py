"""Rows without a network: the empty mask, Otsu in each region, and single thresholds chosen on the training scores.

A threshold is chosen on the crops that dRAM learns from, at which the regions' fractions fit their scores best. Where
all regions weigh alike and most are healthy, it comes out far too high; hence there is one for which all scores weigh
alike. The opened picture is where dRAM's anchored training starts from: the network adds the difference.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from weakmask.activation.dram import dense_regression_map
from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.losses import inverse_frequency_weights
from weakmask.memory import memory_for
from weakmask.methods.dram.config import DramSettings, MapSettings
from weakmask.methods.dram.refinement import opened_threshold
from weakmask.methods.method import Method
from weakmask.pipeline import Run, Stage, Work
from weakmask.progress import track
from weakmask.refinement.grey_opening import opened
from weakmask.region_learning.crops import load_crops
from weakmask.region_learning.evaluate_run import evaluate_run, fixed_threshold
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.scan_map import scan_map
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.region_learning.threshold_baselines import fixed_threshold_mask, otsu_in_regions, predict_nothing
from weakmask.region_learning.usable_cases import evaluated_cases, noted_cohort, read_case, usable_case
from weakmask.report.page import Page
from weakmask.scoring.severity import ScoreMap
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

Floor = Literal["nothing", "Otsu in the region", "fixed threshold", "fixed threshold, balanced", "opened picture"]
Mask = Callable[[Volume, Volume, list[int]], np.ndarray]  # image, regions, their labels -> mask
STEEP = 200.0  # slope of the sigmoid that stands for a threshold


class MaskSettings(Settings):
    """Which mask."""

    mask: Floor = Field(
        default="nothing", description="balanced: a threshold for which all scores, not all regions, weigh alike"
    )
    opening_voxels: int = Field(default=7, description="of a crop, odd: the window of the opened picture")


class FloorSettings(Settings):
    """Everything that changes a number of a row without a network."""

    method: Literal["floor"] = "floor"
    seed: int = Field(default=0, description="of the split; thresholds are chosen on its training part")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="as in all rows; not used")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    floor: MaskSettings = MaskSettings()


class OpenedPicture(nn.Module):
    """A stand-in for a network: its logits are positive where the opened picture exceeds a threshold."""

    def __init__(self, voxels: int, threshold: float) -> None:
        """Take the window of the opening and the threshold of the opened picture in [0, 1]."""
        super().__init__()
        self.voxels = voxels
        self.threshold = nn.Parameter(torch.tensor(threshold), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of windowed crops."""
        return STEEP * (opened(image, self.voxels) - self.threshold)


def masks(work: Work) -> None:
    """Write masks/ of the test scans."""
    config: FloorSettings = work.config
    cohort, cases = evaluated_cases(work)
    mask_of = _mask_of(work, noted_cohort(config.data.cohort, work).score_map)
    for case in track(cases, "masks", len(cases)):
        if usable_case(case, cohort, work) is None:
            continue
        try:
            with memory_for(case.name, in_stage=True):
                image, regions = read_case(case, cohort, work)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        found = mask_of(image, regions, list(case.scores))
        write_volume(image.with_voxels(found.astype(np.uint8), "label"), work.out / "masks" / f"{case.name}.nii.gz")


def evaluate(work: Work) -> None:
    """Write the tables of the mask, which comes first in them."""
    evaluate_run(work, {work.config.floor.mask: work.stage("maps") / "masks"})


def report(run: Run[FloorSettings]) -> Page:
    """The report of a run."""
    return Page(
        title=run.config.floor.mask,
        summary="A mask that needs no network.",
        table=pd.read_csv(run.stage("evaluation") / "summary.csv"),
        config=run.config.model_dump(mode="json"),
        provenance=run.manifest(),
    )


def _mask_of(work: Work, score_map: ScoreMap) -> Mask:
    """The function that makes the floor's mask; its threshold is chosen once, on the training scores."""
    config, floor = work.config, work.config.floor.mask
    if floor == "nothing":
        return lambda image, regions, labels: predict_nothing(image.voxels)  # noqa: ARG005 (one signature for all)
    if floor == "Otsu in the region":
        return lambda image, regions, labels: otsu_in_regions(image.voxels, regions.voxels, labels)
    prepared = work.stage("prepare")
    crops = load_crops(prepared, "training", config.prepare)
    if floor == "opened picture":
        threshold = opened_threshold(crops, config.floor.opening_voxels, score_map)
        work.note(f"threshold of the opened picture chosen on the training scores: {threshold:.3f} of the window")
        return partial(_opened_mask, _opened_model(config, threshold, score_map))
    balanced = floor == "fixed threshold, balanced"
    weights = inverse_frequency_weights(crops.table["score"].tolist()) if balanced else None
    threshold = fixed_threshold(prepared, config.prepare, score_map, weights)
    work.note(f"fixed threshold chosen on the training scores: {threshold:.0f}")
    return lambda image, regions, labels: fixed_threshold_mask(image.voxels, regions.voxels, labels, threshold)


def _opened_model(config: FloorSettings, threshold: float, score_map: ScoreMap) -> RegionModel:
    return RegionModel(
        network=OpenedPicture(config.floor.opening_voxels, threshold).eval(),
        config=DramSettings(data=config.data, prepare=config.prepare, maps=MapSettings(scales=(1.0,))),
        score_map=score_map,
        region_names={},
        crop_spacing_mm=(1.0, 1.0, 1.0),
        header={},
    )


def _opened_mask(model: RegionModel, image: Volume, regions: Volume, labels: list[int]) -> np.ndarray:
    found = scan_map(model, partial(dense_regression_map, model.network), image, regions)
    return (found >= 0.5) & np.isin(regions.voxels, labels)


METHOD = Method(
    title="masks without a network",
    paper="none",
    labels="scores, for a threshold",
    settings=FloorSettings,
    stages=(
        Stage("prepare", prepare, settings=("device", "data", "prepare")),
        Stage("maps", masks, after=("prepare",)),
        Stage("evaluation", evaluate, after=("prepare", "maps")),
    ),
    report=report,
)
