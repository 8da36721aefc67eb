"""The run and the prediction, for a person: tables at the root of the run, and report.html."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from weakmask.csv_table import read_csv
from weakmask.datasets.case import Case, Cohort
from weakmask.pipeline import Run, Work
from weakmask.pipeline.cohort_cases import evaluated_cases
from weakmask.prediction import About
from weakmask.region_learning.evaluate_run import truth_or_note
from weakmask.region_learning.other_runs import with_other_runs
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.settings import PrepareSettings
from weakmask.region_learning.usable_cases import read_case
from weakmask.report.page import Page, ScanView
from weakmask.scoring.score_sets import ScoreSets
from weakmask.volume.files import read_volume
from weakmask.volume.storage_order import in_order_of

Rows = Sequence[Mapping[Any, Any]]
MOST_SCANS = 12  # shown in a report; the worst
NO_LESIONS = 2.0  # their place among the scans, behind every IoU


@dataclass(frozen=True)
class ReportText:
    """Texts of a method for its report.

    Attributes:
        title: The method in a few words.
        row: Its row in the tables.
        learned: Its training data, to follow its name in a sentence.
        training: Name of the stage that left curves.csv.
        methods_text: Paragraphs for the draft of a paper.
    """

    title: str
    row: str
    learned: str
    training: str
    methods_text: str


def run_page(run: Run[Any], text: ReportText) -> Page:
    """The report of a finished run; its table is the summary.

    Raises:
        UserError: The run is not finished.
    """
    summary = read_csv(run.stage("evaluation") / "summary.csv")
    scans = _worst_first(run, text)
    own = next((row for row in summary.to_dict("records") if row["method"] == text.row), None)
    return Page(
        title=f"{text.title}: {run.folder.name}",
        summary=_sentence(text, own, "it was trained on" if run.config.data.seen else "it has not seen"),
        tiles=_tiles(own),
        table=with_other_runs(summary, run.folder),
        table_caption=(
            "Means are over scans with lesions; pooled and specificity are over all scans. Kappa is linear weighted, "
            "with its 95 % bootstrap interval over patients."
        ),
        views=list(scans.values())[:MOST_SCANS],
        scans=scans,
        curves=read_csv(run.stage(text.training) / "curves.csv"),
        config=run.config.model_dump(mode="json"),
        methods_text=text.methods_text,
        provenance=run.manifest(),
    )


def about_model(text: ReportText, model: RegionModel, tiles: tuple[tuple[str, str], ...] = ()) -> About:
    """Description of a model for the report of a prediction.

    Args:
        text: Of the model's method and settings.
        model: The model.
        tiles: Key numbers beside those that every report has.
    """
    header, sets, methods_text = model.header, model.score_sets, text.methods_text
    if sets is not None:
        tiles = (*tiles, ("coverage of score sets", f"{100 * sets.coverage:g} %"))
        methods_text += "\n\n" + score_set_text(sets)
    return About(text.title, methods_text, header.get("config", {}), header.get("provenance", {}), tiles)


def score_set_text(sets: ScoreSets) -> str:
    """The paragraph that says how sets of scores were calibrated."""
    return (
        f"The set of scores of a region holds the score of a reader with a probability of at least "
        f"{100 * sets.coverage:g} %, averaged over regions and patients like those of the training; it was calibrated "
        f"on {sets.regions} regions of {sets.patients} held-out patients by hierarchical conformal prediction (Lee, "
        "Barber, Willett, arXiv 2306.06342): square roots of shares up to "
        f"{sets.distance:.3f} apart are taken for equal."
    )


def shown_scores(rows: Rows) -> pd.DataFrame:
    """Score rows of one scan as the report shows them: region, fraction, predicted, and given where there is one."""
    columns = {"region": "region", "fraction": "fraction", "score_predicted": "predicted", "score_given": "given"}
    shown = [{new: row.get(old) for old, new in columns.items()} for row in rows]
    return pd.DataFrame(shown).dropna(axis="columns", how="all")


def preparation_text(prepare: PrepareSettings) -> str:
    """The paragraph that says how crops were made."""
    grid = f"were resampled to {prepare.spacing_mm} mm and " if prepare.spacing_mm else "were "
    low, high = prepare.window
    shape = " x ".join(str(side) for side in prepare.crop_shape)
    return (
        f"Scans {grid}cropped around each scored region with a margin of {prepare.margin_mm:g} mm; crops were resized "
        f"to {shape} voxels, grey values clamped to [{low:g}, {high:g}] and rescaled to [0, 1], and voxels outside the "
        "region set to zero."
    )


def _sentence(text: ReportText, own: Mapping[Any, Any] | None, seen: str) -> str:
    if own is None or not math.isfinite(own["iou_mean"]):
        kappa = math.nan if own is None else own["kappa"]
        agrees = f" Its scores agree with those given with a kappa of {kappa:.3f}." if math.isfinite(kappa) else ""
        return f"{text.row}, {text.learned}; there was no truth to compare masks with.{agrees}"
    return (
        f"{text.row}, {text.learned}, reaches a mean IoU of {own['iou_mean']:.3f} (pooled "
        f"{own['iou_pooled']:.3f}) and a kappa of {own['kappa']:.3f} on {own['scans']} scans {seen}."
    )


def _tiles(own: Mapping[Any, Any] | None) -> tuple[tuple[str, str], ...]:
    if own is None:
        return ()
    names = {"iou_mean": "mean IoU", "dice_mean": "mean Dice", "sensitivity": "sensitivity", "kappa": "kappa"}
    known = [(text, f"{own[column]:.3f}") for column, text in names.items() if math.isfinite(own[column])]
    return (("scans", str(own["scans"])), *known)


def scan_view(work: Work, of: tuple[Case, Cohort], headline: str, rank: float, scores: Rows = ()) -> ScanView:
    """A scan of the evaluated cohort with its truth, and with the mask and the map that the run made of it.

    Args:
        work: Of the run.
        of: The case and its cohort.
        headline: A line of numbers beside the name.
        rank: The scans of a report are shown by ascending rank.
        scores: The scan's rows in severity.csv.

    Raises:
        UserError: A file is missing or faulty.
    """
    case, cohort = of
    image, regions = read_case(case, cohort, work)
    maps = work.stage("maps")
    mask = read_volume(maps / "masks" / f"{case.name}.nii.gz", "label")
    activation = read_volume(maps / "activation" / f"{case.name}.nii.gz")
    return ScanView(
        name=case.name,
        image=image,
        window_hu=work.config.prepare.window,
        mask=in_order_of(mask, image.geometry),
        activation=in_order_of(activation, image.geometry),
        truth=truth_or_note(case, image, work),
        regions=regions,
        headline=headline,
        rank=rank,
        scores=shown_scores(scores) if scores else None,
        region_names=cohort.region_names,
    )


def _worst_first(run: Run[Any], text: ReportText) -> dict[str, Callable[[], ScanView]]:
    """Name -> a way to load the evaluated scan, the lowest IoU first; scans without lesions come last."""
    results = read_csv(run.stage("evaluation") / "results.csv").to_dict("records")
    scored = read_csv(run.stage("evaluation") / "severity.csv")
    severity = scored.to_dict("records")
    own = {row["scan"]: row for row in results if row["method"] == text.row and row["subset"] == "all"}
    work, maps = Work(run.folder, run.folder, run.config), run.stage("maps")
    loaders: list[tuple[float, str, Callable[[], ScanView]]] = []
    cohort, cases = evaluated_cases(work)
    for case in cases:
        if not (maps / "masks" / f"{case.name}.nii.gz").exists():
            continue
        row = own.get(case.name)
        positive = row is not None and row["tp"] + row["fn"] > 0
        iou = row["iou"] if row is not None and positive else math.nan
        scores = [row for row in severity if row["scan"] == case.name and row["method"] == text.row]
        headline = f"IoU {iou:.3f}" if math.isfinite(iou) else "no truth" if case.truth is None else "no lesions"
        rank = iou if math.isfinite(iou) else NO_LESIONS
        loaders.append((rank, case.name, partial(scan_view, work, (case, cohort), headline, rank, scores)))
    return {name: load for _, name, load in sorted(loaders, key=lambda one: one[0])}
