"""The evaluation stage: instances of each row against the truth, on each stack's own grid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
import pandas as pd
from jaxtyping import Integer

from weakmask.csv_table import write_csv
from weakmask.datasets.case import Case
from weakmask.errors import UserError
from weakmask.evaluation.instance_overlap import InstanceOverlap, instance_overlap, pooled_overlap
from weakmask.evaluation.instances import CRUMB_VOXELS, instance_scores
from weakmask.evaluation.overlap_table import overlap_table
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.instances import COMPONENTS, OWN
from weakmask.methods.mitochondria.prepare import true_instances
from weakmask.methods.mitochondria.stack_index import VALIDATION, StackRow, evaluated_rows
from weakmask.methods.mitochondria.working_stack import grey_bytes
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.refinement.instances import mask_components, voxels_of_nm3
from weakmask.volume.stack_files import open_stack
from weakmask.volume.storage_order import upright

GREY = "best grey threshold"
OVERLAPS = "overlaps.csv"  # of every prediction and truth, from which all scores can be computed again
TITLES = {OWN: "mitochondria", COMPONENTS: "mask alone, components"}
COLUMNS = ("method", "scans", "ap_75", "ap_50", "accuracy_75", "tp", "fp", "fn", "splits", "merges", "dice", "jaccard")


def evaluate(work: Work[MitochondriaSettings]) -> None:
    """Write summary.csv (a row per way to instances, all stacks together), results.csv (per stack) and overlaps.csv.

    The threshold of the row without a network is chosen on the truth itself, so the row is too good.
    """
    found: list[Found] = []
    for row, case, image, truth in evaluated_stacks(work):
        labels = _labels(work, row)
        labels = {GREY: grey_components(image, best_threshold([image], [truth]), work, row), **labels}
        found += [Found(title, case.name, case.group, instance_overlap(one, truth)) for title, one in labels.items()]
    write_scores(found, work)
    if any(row.held_out == VALIDATION for row in evaluated_rows(work.stage("prepare"))):
        work.note(
            "the validation sections are evaluated, and they chose weights and thresholds: the scores are too good"
        )


@dataclass(frozen=True)
class Found:
    """The instances that one way found in one stack, against the truth.

    Attributes:
        method: Title of the way.
        scan: Name of the stack.
        patient: Its patient.
        overlap: With the truth.
    """

    method: str
    scan: str
    patient: str
    overlap: InstanceOverlap


def write_scores(found: Sequence[Found], work: Work[MitochondriaSettings]) -> None:
    """Write the three tables of what was found."""
    ways = {one.method: [other.overlap for other in found if other.method == one.method] for one in found}
    summary = [{"method": way, "scans": len(some), **_scores(pooled_overlap(some))} for way, some in ways.items()]
    write_csv(pd.DataFrame(summary, columns=None if summary else list(COLUMNS)), work.out / "summary.csv", "%.6g")
    names = [{"method": one.method, "scan": one.scan, "patient": one.patient} for one in found]
    rows = [{**name, **_scores(one.overlap)} for name, one in zip(names, found, strict=True)]
    results = pd.DataFrame(rows, columns=None if rows else ["method", "scan", "patient"])
    write_csv(results, work.out / "results.csv", "%.6g")
    tables = [overlap_table(one.overlap).assign(method=one.method, scan=one.scan) for one in found]
    write_csv(pd.concat(tables) if tables else pd.DataFrame(columns=["method", "scan"]), work.out / OVERLAPS)


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
        image = upright(case.read_image())
        try:
            truth = true_instances(case, image.geometry)
        except UserError as error:
            work.note(f"{case.name} is not evaluated: {error}")
            continue
        row = rows[case.name]
        if truth is not None:
            some = row.held_out_sections
            yield row, case, grey_bytes(image.voxels)[some], _renumbered(truth[some], case)


def _renumbered(truth: Integer[np.ndarray, "z y x"], case: Case) -> Integer[np.ndarray, "z y x"]:
    """The instances of some sections: a mask's are its components within these sections."""
    if case.truth_kind == "instances":
        return truth
    return np.asarray(cc3d.connected_components((truth > 0).astype(np.uint8), connectivity=6)).astype(np.int32)


def _labels(work: Work[MitochondriaSettings], row: StackRow) -> dict[str, np.ndarray]:
    """The instances of the network's rows."""
    folder = work.stage("instances")
    return {TITLES[of]: open_stack(folder / of / f"{row.scan}.tif", "label")[:] for of in (COMPONENTS, OWN)}


def best_threshold(images: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> int:
    """The grey value up to which voxels, marked as foreground, have the highest Dice with the instances."""
    darker, true = (
        np.cumsum(sum((np.bincount(one.ravel(), minlength=256) for one in some), np.zeros(256, np.int64)))
        for some in (images, [image[truth > 0] for image, truth in zip(images, truths, strict=True)])
    )
    return int((2 * true / np.maximum(darker + true[-1], 1)).argmax())


def grey_components(
    image: np.ndarray, threshold: int, work: Work[MitochondriaSettings], row: StackRow
) -> Integer[np.ndarray, "z y x"]:
    """The components, of the least size of the settings, of the voxels that are not brighter than a threshold."""
    least = voxels_of_nm3(work.config.decoder.least_nm3, row.spacing_nm)
    return mask_components((image <= threshold).astype(np.float32), 0.5, least).astype(np.int32)


def _scores(overlap: InstanceOverlap) -> dict[str, float]:
    """The scores of a row, those without small truths beside them."""
    scores = instance_scores(overlap).row()
    crumbs = instance_scores(overlap.without_small_truths(CRUMB_VOXELS)).row()
    return {**scores, "ap_75_no_crumbs": crumbs["ap_75"]}
