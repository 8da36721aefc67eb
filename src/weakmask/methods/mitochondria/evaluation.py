"""The evaluation stage: instances of each row against the truth, on each stack's own grid."""

from collections.abc import Iterator

import cc3d
import numpy as np
import pandas as pd
from jaxtyping import Integer

from weakmask.csv_table import write_csv
from weakmask.datasets.case import Case
from weakmask.errors import UserError
from weakmask.evaluation.instance_overlap import InstanceOverlap, instance_overlap, pooled_overlap
from weakmask.evaluation.instances import CRUMB_VOXELS, instance_scores
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.instances import COMPONENTS, OWN
from weakmask.methods.mitochondria.prepare import true_instances
from weakmask.methods.mitochondria.stack_index import VALIDATION, StackRow, evaluated_rows
from weakmask.methods.mitochondria.working_stack import grey_bytes
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.volume.files import read_volume
from weakmask.volume.stack_files import open_stack
from weakmask.volume.storage_order import upright

GREY = "best grey threshold"
TITLES = {OWN: "mitochondria", COMPONENTS: "mask alone, components"}
COLUMNS = ("method", "scans", "ap_75", "ap_50", "accuracy_75", "tp", "fp", "fn", "splits", "merges", "dice", "jaccard")


def evaluate(work: Work[MitochondriaSettings]) -> None:
    """Write summary.csv (a row per way to instances, all stacks together) and results.csv (a row per stack and way).

    The threshold of the row without a network is chosen on the truth itself, so the row is too good.
    """
    overlaps: dict[str, list[InstanceOverlap]] = {}
    rows = []
    for row, case, image, truth in evaluated_stacks(work):
        for title, labels in _found(work, row, image, truth).items():
            overlap = instance_overlap(labels, truth)
            overlaps.setdefault(title, []).append(overlap)
            rows.append({"method": title, "scan": case.name, "patient": case.group, **_scores(overlap)})
    summary = [
        {"method": title, "scans": len(found), **_scores(pooled_overlap(found))} for title, found in overlaps.items()
    ]
    write_csv(pd.DataFrame(summary, columns=None if summary else list(COLUMNS)), work.out / "summary.csv", "%.6g")
    results = pd.DataFrame(rows, columns=None if rows else ["method", "scan", "patient"])
    write_csv(results, work.out / "results.csv", "%.6g")
    if any(row.held_out == VALIDATION for row in evaluated_rows(work.stage("prepare"))):
        work.note(
            "the validation sections are evaluated, and they chose weights and thresholds: the scores are too good"
        )


def evaluated_stacks(
    work: Work[MitochondriaSettings],
) -> Iterator[tuple[StackRow, Case, np.ndarray, np.ndarray]]:
    """The stacks to evaluate with their grey values and true instances; of training stacks the validation sections."""
    rows = {row.scan: row for row in evaluated_rows(work.stage("prepare"))}
    folder = work.config.data.test or work.config.data.cohort
    for case in noted_cohort(folder, work).cases if rows else ():
        if case.name not in rows or case.truth is None:
            continue
        work.hash_input(case.truth)
        image = upright(read_volume(case.image))
        try:
            truth = true_instances(case, image.geometry)
        except UserError as error:
            work.note(f"{case.name} is not evaluated: {error}")
            continue
        row = rows[case.name]
        if truth is not None:
            first = row.training_sections
            yield row, case, grey_bytes(image.voxels)[first:], _renumbered(truth[first:], case)


def _renumbered(truth: Integer[np.ndarray, "z y x"], case: Case) -> Integer[np.ndarray, "z y x"]:
    """The instances of some sections: a mask's are its components within these sections."""
    if case.truth_kind == "instances":
        return truth
    return np.asarray(cc3d.connected_components((truth > 0).astype(np.uint8), connectivity=6)).astype(np.int32)


def _found(
    work: Work[MitochondriaSettings], row: StackRow, image: np.ndarray, truth: np.ndarray
) -> dict[str, np.ndarray]:
    """The instances of each row."""
    folder = work.stage("instances")
    labels = {TITLES[of]: open_stack(folder / of / f"{row.scan}.tif", "label")[:] for of in (COMPONENTS, OWN)}
    return {GREY: _grey_components(image, truth), **labels}


def _grey_components(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The components of the voxels that are darker than the threshold with the best Dice."""
    mask = truth > 0
    darker, true = (np.cumsum(np.bincount(one, minlength=256)) for one in (image.ravel(), image[mask]))
    threshold = int((2 * true / np.maximum(darker + int(mask.sum()), 1)).argmax())
    found = cc3d.connected_components((image <= threshold).astype(np.uint8), connectivity=6)
    return np.asarray(found).astype(np.int32)


def _scores(overlap: InstanceOverlap) -> dict[str, float]:
    """The scores of a row, those without small truths beside them."""
    scores = instance_scores(overlap).row()
    crumbs = instance_scores(overlap.without_small_truths(CRUMB_VOXELS)).row()
    return {**scores, "ap_75_no_crumbs": crumbs["ap_75"]}
