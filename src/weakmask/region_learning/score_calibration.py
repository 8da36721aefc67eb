"""The calibration of a model's sets of scores, on the validation scans."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from weakmask.datasets.case import Case, Cohort
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import held_out_cases
from weakmask.prediction import Prediction, Segmenter, segment_in_any_order
from weakmask.progress import track
from weakmask.region_learning.prediction import region_name
from weakmask.region_learning.usable_cases import read_scan, usable_case
from weakmask.scoring.score_sets import calibrated, patients_needed, score_distance
from weakmask.training.checkpoints import MODEL, extend_header
from weakmask.training.devices import device_of

Distance = tuple[float, str]  # of a region's score and predicted share, and its patient


def calibrate_score_sets(work: Work, load: Callable[[Path, torch.device], Segmenter]) -> None:
    """Add the calibration of the sets of scores to the model file that a stage has written.

    The validation scans are segmented as `weakmask predict` does. No weight was learnt from them; that `keep: best`
    chooses a checkpoint by their loss makes them slightly easier than new scans. Without enough of their patients
    there is a note instead, and the model gives no sets.

    Args:
        work: Of a stage that reads `prepare`; the model file is in its folder.
        load: Model file -> model.
    """
    coverage = work.config.maps.score_set_coverage
    cohort, cases = held_out_cases(work)
    if coverage is None or not any(case.scores for case in cohort.cases):
        return
    needed, patients = patients_needed(coverage), {case.group for case in cases if case.scores}
    found: list[Distance] = []
    if len(patients) >= needed:
        segmenter = load(work.out / MODEL, device_of(work.config.device))
        found = list(_distances(work, segmenter, cohort, cases))
        patients = {patient for _, patient in found}
    sets = calibrated([distance for distance, _ in found], [patient for _, patient in found], coverage)
    if sets is None:
        work.note(
            f"no sets of scores: {len(patients)} held-out patients have scores, and a coverage of {100 * coverage:g} % "
            f"takes {needed}; give more scans, or a larger data.validation"
        )
        return
    extend_header(work.out / MODEL, {"score_sets": asdict(sets)})
    work.note(
        f"sets of scores with a coverage of {100 * coverage:g} %, calibrated on {sets.regions} regions of "
        f"{sets.patients} held-out patients: within {sets.distance:.3f} of the square root of the share"
    )


def predictions_of(
    work: Work, segmenter: Segmenter, cohort: Cohort, cases: Sequence[Case], task: str
) -> Iterator[tuple[Case, Prediction]]:
    """The prediction of each usable case; the others are noted and left out.

    Args:
        work: Of the stage.
        segmenter: The model.
        cohort: The cohort of the cases.
        cases: Scans to segment.
        task: A word for the progress bar.
    """
    for case in track(cases, task, len(cases)):
        if usable_case(case, cohort, work) is None:
            continue
        try:
            with memory_for(case.name, in_stage=True):
                found = segment_in_any_order(segmenter, read_scan(case, cohort, work))
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        yield case, found


def _distances(work: Work, segmenter: Segmenter, cohort: Cohort, cases: Sequence[Case]) -> Iterator[Distance]:
    """Distance and patient of each region that has a score and voxels."""
    for case, found in predictions_of(work, segmenter, cohort, cases, "score sets"):
        shares = {value.name: value.amount for value in found.values}
        for label, score in case.scores.items():
            share = shares.get(region_name(cohort.region_names, label))
            if share is not None:
                yield score_distance(cohort.score_map, score, share), case.group
