"""Masks of any tool against a cohort's truth: what `weakmask evaluate` does."""

from pathlib import Path

import pandas as pd

from weakmask.datasets.case import Case
from weakmask.datasets.cohort import read_cohort_of_masks
from weakmask.errors import UserError
from weakmask.evaluation.table import result_rows, results_table, score_rows, scores_table, summarise, write_tables
from weakmask.progress import console, track
from weakmask.region_learning.evaluate_run import overlaps_of, without_empty_subtypes
from weakmask.regions.scan_regions import read_regions
from weakmask.scoring.severity import ScoreMap, region_fractions
from weakmask.volume.files import IMAGE_SUFFIXES, read_volume


def evaluate_masks(masks: Path, cohort_folder: Path, out: Path, method: str) -> pd.DataFrame:
    """Judge masks and write results.csv, severity.csv, summary.csv and summary_detail.csv.

    Args:
        masks: A folder with NAME.nii.gz (or another image format), or NAME/mask.nii.gz as `weakmask predict` leaves;
            for a cohort of one scan also its mask.nii.gz, in the folder or itself.
        cohort_folder: The cohort whose lesions/ and scores are the truth; without scores.csv, its lesions/ alone.
        out: Where the tables go.
        method: The name in the tables.

    Returns:
        The summary.

    Raises:
        UserError: No mask belongs to a scan of the cohort, or the folder cannot be written.
    """
    cohort = read_cohort_of_masks(cohort_folder)
    results: list[dict[str, object]] = []
    scores: list[dict[str, object]] = []
    for case in track(cohort.cases, "judging", len(cohort.cases)):
        path = find_mask(masks, case.name, alone=len(cohort.cases) == 1)
        if path is None:
            console.print(f"[yellow]note[/] {case.name}: no mask in {masks}", highlight=False, soft_wrap=True)
            continue
        try:
            new_results, new_scores = _judge_case(path, case, dict(cohort.region_names), method, cohort.score_map)
        except UserError as error:
            console.print(f"[red]left out[/] {error}", highlight=False, soft_wrap=True)
            continue
        results += new_results
        scores += new_scores
    if not results and not scores:
        names = ", ".join(case.name for case in cohort.cases[:3])
        raise UserError(f"{masks}: no mask belongs to a scan of {cohort_folder}; expected names such as {names}")
    results = without_empty_subtypes(results)
    write_tables(out, results_table(results), scores_table(scores))
    return summarise(results_table(results), scores_table(scores))


def find_mask(masks: Path, name: str, *, alone: bool = False) -> Path | None:
    """The mask of a scan in a folder of masks, by its name; of a scan that is alone, the one that has no name."""
    candidates = [masks / f"{name}{suffix}" for suffix in IMAGE_SUFFIXES] + [masks / name / "mask.nii.gz"]
    if alone:
        candidates += [masks] if masks.is_file() else [masks / "mask.nii.gz"]
    return next((path for path in candidates if path.exists()), None)


def _judge_case(path: Path, case: Case, names: dict[int, str], method: str, score_map: ScoreMap) -> tuple[list, list]:
    image = read_volume(case.image)
    mask = read_regions(path, image).voxels > 0
    regions = None if case.regions is None else read_regions(case.regions, image).voxels
    results, scores = [], []
    if case.lesions is not None:
        inside = None if regions is None else regions > 0
        overlaps = overlaps_of(mask, read_regions(case.lesions, image).voxels, inside)
        results = result_rows(method, case.name, overlaps, case.group)
    if regions is not None:
        labels = [label for label in case.scores if (regions == label).any()]
        fractions = region_fractions(mask, regions, labels)
        given = {label: case.scores[label] for label in labels}
        scores = score_rows(method, case.name, given, fractions, names, score_map, case.group)
    return results, scores
