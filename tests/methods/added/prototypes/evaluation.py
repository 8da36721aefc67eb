"""The evaluation stage: masks of the validation pictures against their truth, class by class."""

import pandas as pd

from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.usable_truth import usable_truth
from weakmask.evaluation.overlap import overlap
from weakmask.evaluation.table import result_rows, results_table, scores_table, write_tables
from weakmask.methods.prototypes.config import PrototypeSettings
from weakmask.methods.prototypes.model import load
from weakmask.methods.prototypes.report import TITLE
from weakmask.pipeline import Work
from weakmask.prediction import Limits, Scan
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume
from weakmask.volume.pictures import read_rgb


def evaluate(work: Work[PrototypeSettings]) -> None:
    """Write results.csv, summary.csv and the other tables; `all` is any class."""
    index = pd.read_csv(work.stage("prepare") / "index.csv", dtype={"scan": str})
    held_out = set(index.loc[index["split"] == "validation", "scan"])
    segmenter = load(work.stage("model") / MODEL, device_of(work.config.device), Limits())
    rows = []
    for case in read_cohort(work.config.data.cohort).cases:
        image = read_volume(case.image)
        truth = usable_truth(case, image.geometry)
        if case.name not in held_out or truth is None:
            continue
        work.hash_input(case.image)
        mask = segmenter.segment(Scan(case.name, image, colour=read_rgb(case.image)[0])).mask.voxels
        counted = {"all": overlap(mask > 0, truth.voxels > 0, None)}
        for label, name in enumerate(segmenter.header["classes"], 1):
            counted[name] = overlap(mask == label, truth.voxels == label, None)
        rows += result_rows(TITLE, case.name, counted, case.group)
    write_tables(work.out, results_table(rows), scores_table([]))
