"""What needs no network, as runs of their own: the empty mask, Otsu in each region, one threshold for all scans."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.pipeline import Stage, Work, read_manifest
from weakmask.progress import track
from weakmask.region_learning.evaluate_run import fixed_threshold, judge_masks
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.run_report import copy_tables
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.region_learning.threshold_baselines import fixed_threshold_mask, otsu_in_regions, predict_nothing
from weakmask.region_learning.usable_cases import checked, judged_cases, read_case
from weakmask.report.page import Page, write_report
from weakmask.scoring.severity import ScoreMap
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

Floor = Literal["nothing", "Otsu in the region", "fixed threshold"]
Mask = Callable[[Volume, Volume, list[int]], np.ndarray]  # image, regions, their labels -> mask


class FloorSettings(Settings):
    """Everything that changes a number of a row without a network."""

    method: Literal["floor"] = "floor"
    seed: int = Field(default=0, description="of the split, which the fixed threshold is chosen on the larger part of")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="as all rows have it; not used")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    floor: Floor = Field(description="which mask")


def masks(work: Work) -> None:
    """Write masks/ of the judged scans."""
    cohort, cases = judged_cases(work)
    mask_of = _mask_of(work, cohort.score_map)
    for case in track(cases, "masks", len(cases)):
        if checked(case, cohort, work) is None:
            continue
        try:
            image, regions = read_case(case, work)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        found = mask_of(image, regions, list(case.scores))
        write_volume(image.with_voxels(found.astype(np.uint8), "label"), work.out / "masks" / f"{case.name}.nii.gz")


def judge(work: Work) -> None:
    """The tables of the one mask; it stands first in them."""
    judge_masks(work, {work.config.floor: work.stage("maps") / "masks"})


def conclude(run: Path, config: FloorSettings) -> pd.DataFrame:
    """Copy the tables to the run's root, write report.html and return the summary."""
    copy_tables(run)
    summary = pd.read_csv(run / "summary.csv")
    page = Page(
        title=config.floor,
        summary="A mask that needs no network.",
        table=summary,
        config=config.model_dump(mode="json"),
        provenance=read_manifest(run),
    )
    write_report(run / "report.html", page)
    return summary


def _mask_of(work: Work, score_map: ScoreMap) -> Mask:
    """The floor's function; the fixed threshold is chosen once, on the training scores."""
    config: FloorSettings = work.config
    if config.floor == "nothing":
        return lambda image, regions, labels: predict_nothing(image.voxels)  # noqa: ARG005 (as its like)
    if config.floor == "Otsu in the region":
        return lambda image, regions, labels: otsu_in_regions(image.voxels, regions.voxels, labels)
    threshold = fixed_threshold(work.stage("prepare"), config.prepare, score_map)
    work.note(f"fixed threshold chosen on the training scores: {threshold:.0f}")
    return lambda image, regions, labels: fixed_threshold_mask(image.voxels, regions.voxels, labels, threshold)


STAGES = (
    Stage("prepare", prepare, settings=("device", "data", "prepare")),
    Stage("maps", masks, after=("prepare",)),
    Stage("evaluation", judge, after=("prepare", "maps")),
)
