"""Stage 5: masks against truth, beside three baselines that need no network."""

from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.datasets.case import Case
from weakmask.errors import UserError
from weakmask.evaluation.overlap import LESION_SUBTYPES, Overlap, overlap, subtype_overlaps
from weakmask.evaluation.table import result_rows, results_table, score_rows, scores_table, write_tables
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.crops import OUTSIDE
from weakmask.methods.dram.maps import judged_cases
from weakmask.methods.dram.prepare import read_case, read_regions, read_usable
from weakmask.methods.thresholds import (
    choose_fixed_threshold,
    fixed_threshold_mask,
    otsu_in_regions,
    predict_nothing,
    value_histogram,
)
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.scoring.severity import ScoreMap, region_fractions
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume

BINS = 300  # of the window, for the fixed threshold: 5 HU each on the paper's window


def judge(work: Work) -> None:
    """Write results.csv, severity.csv, summary.csv and summary_detail.csv; without truth only scores are compared."""
    config: DramSettings = work.config
    score_map = read_usable(config.data.cohort, work).score_map
    threshold = fixed_threshold(work.run / "01-prepare", config, score_map)
    work.note(f"fixed threshold chosen on the training scores: {threshold:.0f}")
    results: list[dict[str, object]] = []
    scores: list[dict[str, object]] = []
    cohort, cases = judged_cases(work)
    for case in track(cases, "judging", len(cases)):
        predicted = work.run / "07-maps" / "masks" / f"{case.name}.nii.gz"
        if not predicted.exists():
            continue  # left out by the maps stage, which noted it
        image, regions = read_case(case, work)
        try:
            truth = read_truth(case, image)
        except UserError as error:
            work.note(f"{case.name} is judged by its scores alone: {error}")
            truth = None
        labels = [label for label in case.scores if (regions.voxels == label).any()]
        masks = {
            method_name(config): read_volume(predicted, "label").voxels > 0,
            "Otsu in the region": otsu_in_regions(image.voxels, regions.voxels, labels),
            "fixed threshold": fixed_threshold_mask(image.voxels, regions.voxels, labels, threshold),
            "nothing": predict_nothing(image.voxels),
        }
        for method, mask in masks.items():
            if truth is not None:
                inside = regions.voxels > 0
                results += result_rows(method, case.name, overlaps_of(mask, truth.voxels, inside))
            fractions = region_fractions(mask, regions.voxels, labels)
            given = {label: case.scores[label] for label in labels}
            scores += score_rows(method, case.name, given, fractions, cohort.region_names, score_map)
    if not results:
        work.note("no lesions/ in the judged cohort: overlap is not computed, only the agreement of scores")
    write_tables(work.out, results_table(without_empty_subtypes(results)), scores_table(scores))


def method_name(config: DramSettings) -> str:
    """The row of the paper's ablation that the settings are, or what is ours."""
    refinement = config.refinement
    if config.context.train:
        return "dRAM + context"
    if refinement.weight and refinement.anchor.until:
        return "dRAM anchored"
    if refinement.weight and config.vessels.suppress:
        return "dRAM + vessel suppression"
    if refinement.weight:
        return "dRAM + attention" if refinement.attention else "dRAM + refine"
    regularised = config.losses.equivariance > 0 or config.losses.entropy > 0
    return "dRAM + regularizer" if regularised else "dRAM raw"


def read_truth(case: Case, image: Volume) -> Volume | None:
    """The lesion labels of a case, if it has any.

    Raises:
        UserError: The file is faulty or lies on another grid.
    """
    return None if case.lesions is None else read_regions(case.lesions, image)


def overlaps_of(mask: np.ndarray, truth: np.ndarray, inside: np.ndarray | None) -> dict[str, Overlap]:
    """Overlap with all lesions and, where the truth may tell them apart (labels up to 3), with each subtype."""
    if truth.max(initial=0) in LESION_SUBTYPES.values():
        return subtype_overlaps(mask, truth, inside)
    return {"all": overlap(mask, truth, inside)}


def without_empty_subtypes(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows of results.csv without subtypes if no truth of the cohort tells them apart, as 0/1 masks do not."""
    named = {row["subset"] for row in rows if row["tp"] or row["fn"]} - {"all"}
    return rows if named - {"ground-glass"} else [row for row in rows if row["subset"] == "all"]


def fixed_threshold(prepared: Path, config: DramSettings, score_map: ScoreMap) -> float:
    """One grey value for all scans, at which the training regions' fractions fit their score intervals best."""
    index = pd.read_csv(prepared / "index.csv")
    training = index.query("split == 'training'")
    edges = np.linspace(*config.prepare.window, BINS + 1)
    histograms = []
    for file in training["file"]:
        voxels = read_volume(prepared / file).voxels
        histograms.append(value_histogram(voxels[voxels != OUTSIDE], edges))
    if not histograms:
        raise UserError(f"{prepared}: no training crops; expected at least one")
    return choose_fixed_threshold(np.stack(histograms), edges, training["score"].tolist(), score_map)
