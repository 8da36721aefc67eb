"""Evaluation of a run: its masks against the truth, beside three baselines without a network, and significance."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import read_csv, write_csv
from weakmask.datasets.case import Case, Cohort, TruthKind
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.evaluation.class_masks import IGNORED
from weakmask.evaluation.overlap import LESION_SUBTYPES, Overlap, overlap, subtype_overlaps
from weakmask.evaluation.significance import COMPARISON_COLUMNS, compare_methods
from weakmask.evaluation.table import result_rows, results_table, score_rows, scores_table, write_tables
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import evaluated_cases, noted_cohort
from weakmask.progress import track
from weakmask.region_learning.crops import inside_of
from weakmask.region_learning.settings import PrepareSettings
from weakmask.region_learning.threshold_baselines import (
    choose_fixed_threshold,
    fixed_threshold_mask,
    otsu_in_regions,
    predict_nothing,
    value_histogram,
)
from weakmask.region_learning.usable_cases import read_case
from weakmask.scoring.severity import ScoreMap, region_fractions
from weakmask.volume.files import read_volume
from weakmask.volume.storage_order import in_order_of
from weakmask.volume.volume import Volume

BINS = 300  # of the window, for the fixed threshold: 5 HU each on the paper's window

Rows = list[dict[str, object]]


def evaluate_run(work: Work, masks: Mapping[str, Path]) -> None:
    """Write results.csv, severity.csv, summary.csv, summary_detail.csv and significance.csv.

    Without truth only scores are compared.

    Args:
        work: Of the stage.
        masks: Name of a method -> folder with its masks, NAME.nii.gz. The first is the run's own: it is tested against
            all others, and scans that it has no mask of were left out by the stage that writes masks.
    """
    config = work.config
    score_map = noted_cohort(config.data.cohort, work).score_map
    threshold = fixed_threshold(work.stage("prepare"), config.prepare, score_map)
    work.note(f"fixed threshold chosen on the training scores: {threshold:.0f}")
    results: Rows = []
    scores: Rows = []
    cohort, cases = evaluated_cases(work)
    own = next(iter(masks.values()))
    for case in track(cases, "evaluation", len(cases)):
        if (own / f"{case.name}.nii.gz").exists():
            new_results, new_scores = _evaluate_case(work, case, cohort, masks, threshold)
            results += new_results
            scores += new_scores
    if not results:
        work.note("no usable truth in the evaluated cohort: only the agreement of scores is computed, no overlap")
    table = results_table(without_empty_subtypes(results))
    write_tables(work.out, table, scores_table(scores))
    compared = compare_methods(table, next(iter(masks))) if results else pd.DataFrame(columns=list(COMPARISON_COLUMNS))
    with atomic_file(work.out / "significance.csv") as temporary:
        write_csv(compared, temporary, "%.6g")


def fixed_threshold(
    prepared: Path, prepare: PrepareSettings, score_map: ScoreMap, weights: Mapping[int, float] | None = None
) -> float:
    """The one threshold for all scans that fits the training regions' fractions best to their score intervals.

    Args:
        prepared: The folder that the prepare stage left.
        prepare: How the crops were made; the value is sought in the window.
        score_map: Meaning of the scores.
        weights: Score -> weight; None weighs all regions alike.

    Returns:
        In Hounsfield units.

    Raises:
        UserError: No training crops.
    """
    training = read_csv(prepared / "index.csv").query("split == 'training'")
    edges = np.linspace(*prepare.window, BINS + 1)
    histograms = []
    for file in training["file"]:
        crop = read_volume(prepared / file)
        histograms.append(value_histogram(crop.voxels[inside_of(crop)], edges))
    if not histograms:
        raise UserError(f"{prepared}: no training crops; expected at least one")
    return choose_fixed_threshold(np.stack(histograms), edges, training["score"].tolist(), score_map, weights)


def truth_or_note(case: Case, image: Volume, work: Work) -> Volume | None:
    """The truth of a case; None, and a note if there is one that cannot be used."""
    if case.truth is not None:
        work.hash_input(case.truth)
    try:
        return usable_truth(case, image.geometry)
    except UserError as error:
        work.note(f"{case.name} is evaluated by its scores alone: {error}")
        return None


def overlaps_of(
    mask: np.ndarray, truth: np.ndarray, inside: np.ndarray | None, kind: TruthKind = "subtypes"
) -> dict[str, Overlap]:
    """Overlap with the whole truth and, where it may tell lesion subtypes apart, with each subtype.

    A truth without lesions is among these: what is marked there counts as false for each subtype. A truth of classes
    or instances counts as foreground, and voxels that a truth of classes ignores are not counted.

    Args:
        mask: Not zero is marked.
        truth: Labels of the kind, same shape.
        inside: Where to count, same shape; None counts everywhere.
        kind: See `usable_truth`.
    """
    if kind == "classes":
        inside = (truth != IGNORED) & (True if inside is None else inside != 0)
    if kind == "subtypes" and truth.min(initial=0) >= 0 and truth.max(initial=0) <= max(LESION_SUBTYPES.values()):
        return subtype_overlaps(mask, truth, inside)
    return {"all": overlap(mask, truth, inside)}


def without_empty_subtypes(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows of results.csv without subtypes if no truth of the cohort tells them apart, as 0/1 masks do not."""
    named = {row["subset"] for row in rows if row["tp"] or row["fn"]} - {"all"}
    return rows if named - {"ground-glass"} else [row for row in rows if row["subset"] == "all"]


def _evaluate_case(
    work: Work, case: Case, cohort: Cohort, masks: Mapping[str, Path], threshold: float
) -> tuple[Rows, Rows]:
    """The rows of one scan in results.csv and severity.csv.

    All masks are compared on equal terms: each, a threshold's too, marks every region of the scan, scored or not, and
    overlap is counted inside all regions.
    """
    image, regions = read_case(case, cohort, work)
    truth = truth_or_note(case, image, work)
    labels = [label for label in case.scores if (regions.voxels == label).any()]
    everywhere = [int(label) for label in np.unique(regions.voxels) if label != 0]
    written = {name: read_volume(folder / f"{case.name}.nii.gz", "label") for name, folder in masks.items()}
    found = {name: in_order_of(mask, image.geometry).voxels > 0 for name, mask in written.items()} | {
        "Otsu in the region": otsu_in_regions(image.voxels, regions.voxels, everywhere),
        "fixed threshold": fixed_threshold_mask(image.voxels, regions.voxels, everywhere, threshold),
        "nothing": predict_nothing(image.voxels),
    }
    results: Rows = []
    scores: Rows = []
    given = {label: case.scores[label] for label in labels}
    for method, mask in found.items():
        if truth is not None:
            overlaps = overlaps_of(mask, truth.voxels, regions.voxels > 0, case.truth_kind)
            results += result_rows(method, case.name, overlaps, case.group)
        fractions = region_fractions(mask, regions.voxels, labels)
        names, score_map = cohort.region_names, cohort.score_map
        scores += score_rows(method, case.name, given, fractions, names, score_map, case.group)
    return results, scores
