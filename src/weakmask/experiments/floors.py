"""Rows without a network, as methods that exist in experiments alone.

`floor`: threshold masks of scans with scored regions (`region_learning.threshold_masks`).
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from weakmask.config import Seed, Settings
from weakmask.csv_table import read_csv
from weakmask.errors import UserError
from weakmask.experiments.experiment import Row
from weakmask.memory import memory_for
from weakmask.methods.method import Method
from weakmask.pipeline import Run, Stage, Work
from weakmask.pipeline.cohort_cases import evaluated_cases, noted_cohort
from weakmask.progress import track
from weakmask.region_learning.evaluate_run import evaluate_run
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.region_learning.threshold_masks import ThresholdMask, mask_function
from weakmask.region_learning.usable_cases import read_case, usable_case
from weakmask.report.page import Page
from weakmask.volume.files import write_volume


class MaskSettings(Settings):
    """Which mask."""

    mask: ThresholdMask = Field(
        default="nothing", description="balanced: a threshold for which all scores, not all regions, weigh alike"
    )
    opening_voxels: Annotated[int, Field(ge=1, le=255)] = Field(
        default=7, description="of a crop, odd: the window of the opened picture"
    )


class FloorSettings(Settings):
    """Everything that changes a number of a row without a network."""

    method: Literal["floor"] = "floor"
    seed: Seed = Field(default=0, description="of the split; thresholds are chosen on its training part")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="as in all rows; not used")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    floor: MaskSettings = MaskSettings()


def masks(work: Work) -> None:
    """Write masks/ of the test scans."""
    config: FloorSettings = work.config
    cohort, cases = evaluated_cases(work)
    score_map = noted_cohort(config.data.cohort, work).score_map
    mask_of = mask_function(work, config.floor.mask, config.floor.opening_voxels, score_map)
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
        table=read_csv(run.stage("evaluation") / "summary.csv"),
        config=run.config.model_dump(mode="json"),
        provenance=run.manifest(),
    )


FLOOR = Method(
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

FLOOR_METHODS = {"floor": FLOOR}


def floor_row(title: str, mask: ThresholdMask) -> Row:
    """A row of threshold masks."""
    return Row(title, "floor", {"floor": {"mask": mask}})
