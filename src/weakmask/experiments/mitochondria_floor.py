"""The row of mitochondria without a network: the components of all voxels that are darker than a threshold.

The threshold is the one with the best Dice on the training stacks.
"""

from weakmask.csv_table import read_csv
from weakmask.evaluation.instance_overlap import instance_overlap
from weakmask.methods.method import Method
from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.mitochondria.denoise import denoise_training
from weakmask.methods.mitochondria.evaluation import (
    TITLES,
    Found,
    best_threshold,
    evaluated_stacks,
    grey_components,
    write_scores,
)
from weakmask.methods.mitochondria.instances import OWN
from weakmask.methods.mitochondria.prepare import prepare
from weakmask.methods.mitochondria.training import read_stacks
from weakmask.pipeline import Run, Stage, Work
from weakmask.report.page import Page


def evaluate(work: Work[MitochondriaSettings]) -> None:
    """Write the tables of the evaluation; the row has the title of a run's own instances."""
    training, _ = read_stacks(work)
    threshold = best_threshold([stack.image for stack in training], [stack.labels for stack in training])
    work.note(f"voxels up to the grey value {threshold} are foreground")
    found = [
        Found(TITLES[OWN], case.name, case.group, instance_overlap(grey_components(image, threshold, work, row), truth))
        for row, case, image, truth in evaluated_stacks(work)
    ]
    write_scores(found, work)


def report(run: Run[MitochondriaSettings]) -> Page:
    """The report of a run."""
    return Page(
        title="best grey threshold",
        summary="Components of a threshold, without a network.",
        table=read_csv(run.stage("evaluation") / "summary.csv"),
        config=run.config.model_dump(mode="json"),
        provenance=run.manifest(),
    )


FLOOR = Method(
    title="mitochondria without a network",
    paper="none",
    labels="instances or masks of stacks, for a threshold",
    settings=MitochondriaSettings,
    stages=(
        Stage("prepare", prepare, settings=("data", "prepare")),
        Stage(
            "denoise_training", denoise_training, after=("prepare",), settings=("seed", "device", "denoise_training")
        ),
        Stage("evaluation", evaluate, after=("prepare", "denoise_training"), settings=("data", "decoder")),
    ),
    report=report,
)
