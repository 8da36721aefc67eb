"""Evaluation of masks that any tool made against a cohort: the command `weakmask evaluate`."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.commands.output_folder import open_output
from weakmask.commands.scan_jobs import ScanJob
from weakmask.commands.scans_anywhere import each_scan_anywhere
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.mask_checks import on_grid
from weakmask.datasets.truth_names import label_by_name
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import MachineError, UserError
from weakmask.evaluation.table import result_rows, results_table, score_rows, scores_table, summarise, write_tables
from weakmask.outgoing_text import file_name
from weakmask.progress import note
from weakmask.ray_cluster import Cluster
from weakmask.region_learning.evaluate_run import Rows, overlaps_of, without_empty_subtypes
from weakmask.regions.checked_regions import checked_regions
from weakmask.regions.scan_regions import read_regions
from weakmask.scoring.severity import region_fractions
from weakmask.terminal import say
from weakmask.volume.files import masks_named, read_volume
from weakmask.volume.pictures import is_picture
from weakmask.volume.volume import Volume

TABLES = ("results.csv", "severity.csv", "summary.csv", "summary_detail.csv")


def evaluate_masks(
    masks: Path, cohort_folder: Path, out: Path, method: str, cluster: Cluster | None = None
) -> pd.DataFrame:
    """Evaluate masks and write results.csv, severity.csv, summary.csv and summary_detail.csv.

    Where the cohort has region masks, overlap is counted inside them only: a mark outside the lungs, for example, is
    not counted as false. A note says how many voxels of a mask lie outside.

    Args:
        masks: A folder with NAME.nii.gz (or another image format), or NAME/mask.nii.gz as `weakmask predict` leaves;
            for a cohort of one scan also its mask.nii.gz, in the folder or itself. Where a file names its structures,
            those count that are named after lesions, as in truth/.
        cohort_folder: The cohort whose truth and scores the masks are compared with; either may be missing.
        out: Where the tables go.
        method: The name in the tables.
        cluster: The Ray cluster whose workers read and compare the masks; None: this process does.

    Returns:
        The summary.

    Raises:
        UserError: The cohort has neither truth nor scores, no mask belongs to one of its scans or can be used, no such
            cluster, or the folder cannot be written or holds such tables of another command: those of a run, for
            instance.
    """
    cohort = read_cohort(cohort_folder)
    folder = open_output(out, "evaluate", [out / name for name in TABLES])
    try:
        tables = _evaluate_cohort(masks, cohort, method, cluster)
    except (UserError, MachineError):
        folder.forget()
        raise
    write_tables(out, *tables)
    return summarise(*tables)


def _evaluate_cohort(
    masks: Path, cohort: Cohort, method: str, cluster: Cluster | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables results.csv and severity.csv of all masks that belong to a scan of the cohort."""
    if not any(case.truth or case.scores for case in cohort.cases):
        raise UserError(f"{cohort.folder}: neither scores.csv nor a mask in truth/ with the name of an image; give one")
    jobs: list[ScanJob] = []
    for case in cohort.cases:
        path = find_mask(masks, case.name, alone=len(cohort.cases) == 1)
        if path is None:
            say("note", f"{case.name}: no mask in {masks}")
        else:
            jobs.append(ScanJob(case.name, path, {}))
    if not jobs:
        names = ", ".join(case.name for case in cohort.cases[:3])
        raise UserError(f"{masks}: no mask belongs to a scan of {cohort.folder}; expected names such as {names}")
    done = each_scan_anywhere(cluster, jobs, "evaluate", partial(_begin, cohort, method))
    results: Rows = [row for _, (rows, _) in done.results for row in rows]
    scores: Rows = [row for _, (_, rows) in done.results for row in rows]
    return results_table(without_empty_subtypes(results)), scores_table(scores)


def _begin(cohort: Cohort, method: str) -> Callable[[ScanJob], tuple[Rows, Rows]]:
    """The work on one mask."""
    return partial(_evaluate_job, {case.name: case for case in cohort.cases}, cohort, method)


def _evaluate_job(cases: Mapping[str, Case], cohort: Cohort, method: str, job: ScanJob) -> tuple[Rows, Rows]:
    return _evaluate_case(job.image, cases[job.name], cohort, method)


def find_mask(masks: Path, name: str, *, alone: bool = False) -> Path | None:
    """The mask of a scan in a folder of masks, by its name; of a scan that is alone, the one that has no name."""
    names = dict.fromkeys((name, file_name(name)))  # results of `predict` have the second
    named = [path for one in names for path in masks_named(masks, one)]
    predicted = [masks / one / file for one in names for file in ("mask.nii.gz", "mask.png")]
    candidates = [path for path in named if path.is_file()] + predicted + named
    if alone:
        candidates += [masks] if masks.is_file() else [masks / "mask.nii.gz"]
    return next((path for path in candidates if path.exists()), None)


def _evaluate_case(path: Path, case: Case, cohort: Cohort, method: str) -> tuple[Rows, Rows]:
    """The rows of one scan in results.csv and severity.csv."""
    image = case.read_image()
    found = read_volume(path, "label", label_of=label_by_name(case.truth_kind))  # a file may name more than lesions
    mask = on_grid(found, image.geometry, path).voxels > 0
    regions = None
    if case.regions is not None:
        files, names = (case.image, case.regions), cohort.region_names
        given = read_regions(case.regions, image, names)
        is_ct = bool(case.scores) and not is_picture(case.image)
        regions = checked_regions(image, given, names, files, hounsfield=is_ct, grey_values_used=False).voxels
    truth = _truth_or_note(case, image)
    results: Rows = []
    scores: Rows = []
    if truth is not None:
        inside = None if regions is None else regions > 0
        overlaps = overlaps_of(mask, truth.voxels, inside, case.truth_kind)
        results = result_rows(method, case.name, overlaps, case.group)
        outside = 0 if inside is None else int(np.count_nonzero(mask & ~inside))
        if outside:
            share = 100 * outside / np.count_nonzero(mask)
            lie = f"{outside} voxels of the mask ({share:.1f} %) lie outside the regions and do not count"
            note(f"{case.name}: {lie}", again=True)
    if regions is not None:
        labels = [label for label in case.scores if (regions == label).any()]
        fractions = region_fractions(mask, regions, labels)
        given = {label: case.scores[label] for label in labels}
        names, score_map = cohort.region_names, cohort.score_map
        scores = score_rows(method, case.name, given, fractions, names, score_map, case.group)
    return results, scores


def _truth_or_note(case: Case, image: Volume) -> Volume | None:
    """The truth of a case; None, and a note if there is one that cannot be used."""
    try:
        return usable_truth(case, image.geometry)
    except UserError as error:
        note(str(error), again=True)
        return None
