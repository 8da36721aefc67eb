"""The run and the prediction, for a person: tables at the root of the run, and report.html."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.datasets.case import Case
from weakmask.pipeline import Work, provenance, read_manifest, stage_folder
from weakmask.region_learning.evaluate_run import truth_or_note
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.settings import PrepareSettings
from weakmask.region_learning.usable_cases import judged_cases, read_case
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume

Rows = Sequence[Mapping[Any, Any]]
MOST_SCANS = 12  # shown in a report; the worst
NO_LESIONS = 2.0  # their place among the scans, behind every IoU


@dataclass(frozen=True)
class Story:
    """Texts of a method for its reports.

    Attributes:
        title: The method in a few words.
        row: Its row in the tables.
        learned: Its training data, to follow its name in a sentence.
        training: The stage that left curves.csv.
        methods_text: Paragraphs for a paper's draft.
    """

    title: str
    row: str
    learned: str
    training: str
    methods_text: str


def conclude_run(run: Path, config: Any, story: Story) -> pd.DataFrame:
    """Copy the tables to the run's root, write report.html and return the summary.

    Raises:
        UserError: The run is not finished.
    """
    copy_tables(run)
    summary = pd.read_csv(run / "summary.csv")
    ours = next((row for row in summary.to_dict("records") if row["method"] == story.row), None)
    page = Page(
        title=f"{story.title}: {run.name}",
        summary=_sentence(story, ours, "it was trained on" if config.data.seen else "it has not seen"),
        tiles=_tiles(ours),
        table=summary,
        table_caption=(
            "Means are over scans with lesions; pooled and specificity are over all scans. Kappa is linear weighted, "
            "with its 95 % bootstrap interval over patients."
        ),
        views=_worst_first(run, config, story),
        curves=pd.read_csv(stage_folder(run, story.training) / "curves.csv"),
        config=config.model_dump(mode="json"),
        methods_text=story.methods_text,
        provenance=read_manifest(run),
    )
    write_report(run / "report.html", page)
    return summary


def copy_tables(run: Path) -> None:
    """Copy all tables of the evaluation to the run's root, where a reader looks for them.

    Raises:
        UserError: The run is not finished.
    """
    for table in sorted(stage_folder(run, "evaluation").glob("*.csv")):
        with atomic_file(run / table.name) as temporary:
            shutil.copyfile(table, temporary)


def prediction_page(
    story: Story,
    model: RegionModel,
    model_path: Path,
    rows: Rows,
    views: Sequence[Callable[[], ScanView]],
    failures: Sequence[str],
) -> Page:
    """The report of a prediction: nothing to compare with, so masks, maps and scores."""
    totals: dict[str, int] = {}
    for row in rows:
        totals[str(row["scan"])] = totals.get(str(row["scan"]), 0) + int(str(row["score_predicted"]))
    span = " to ".join(str(total) for total in sorted({min(totals.values()), max(totals.values())}))
    return Page(
        title=f"{story.title}: prediction",
        summary=f"{len(totals)} scan{'s' if len(totals) > 1 else ''} segmented with {model_path}; severity {span}, "
        "summed over the regions.",
        tiles=(("scans", str(len(totals))), ("left out", str(len(failures)))),
        views=views[:MOST_SCANS],
        config=model.header["config"],
        methods_text=story.methods_text,
        provenance={**provenance(), "model": str(model_path), "trained_with": model.header["provenance"]},
        notes=tuple(f"left out: {line}" for line in failures),
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


def _sentence(story: Story, ours: Mapping[Any, Any] | None, seen: str) -> str:
    if ours is None or not math.isfinite(ours["iou_mean"]):
        kappa = math.nan if ours is None else ours["kappa"]
        agrees = f" Its scores agree with those given with a kappa of {kappa:.3f}." if math.isfinite(kappa) else ""
        return f"{story.row}, {story.learned}; there was no truth to judge masks by.{agrees}"
    return (
        f"{story.row}, {story.learned}, reaches a mean IoU of {ours['iou_mean']:.3f} (pooled "
        f"{ours['iou_pooled']:.3f}) and a kappa of {ours['kappa']:.3f} on {ours['scans']} scans {seen}."
    )


def _tiles(ours: Mapping[Any, Any] | None) -> tuple[tuple[str, str], ...]:
    if ours is None:
        return ()
    names = {"iou_mean": "mean IoU", "dice_mean": "mean Dice", "sensitivity": "sensitivity", "kappa": "kappa"}
    known = [(text, f"{ours[column]:.3f}") for column, text in names.items() if math.isfinite(ours[column])]
    return (("scans", str(ours["scans"])), *known)


def _worst_first(run: Path, config: Any, story: Story) -> list[Callable[[], ScanView]]:
    """Ways to load the judged scans, the lowest IoU first; scans without lesions come last."""
    results = pd.read_csv(run / "results.csv", dtype={"scan": str}).to_dict("records")
    severity = pd.read_csv(run / "severity.csv", dtype={"scan": str, "region": str}).to_dict("records")
    ours = {row["scan"]: row for row in results if row["method"] == story.row and row["subset"] == "all"}
    work, maps = Work(run, run, config), stage_folder(run, "maps")
    loaders: list[tuple[float, Callable[[], ScanView]]] = []
    cohort, cases = judged_cases(work)
    for case in cases:
        if not (maps / "masks" / f"{case.name}.nii.gz").exists():
            continue
        row = ours.get(case.name)
        positive = row is not None and row["tp"] + row["fn"] > 0
        iou = row["iou"] if row is not None and positive else math.nan
        scores = [row for row in severity if row["scan"] == case.name and row["method"] == story.row]
        loaders.append(
            (iou if positive else NO_LESIONS, partial(_view, work, maps, (case, cohort.region_names), scores, iou))
        )
    return [load for _, load in sorted(loaders, key=lambda pair: pair[0])[:MOST_SCANS]]


def _view(work: Work, maps: Path, named: tuple[Case, Mapping[int, str]], scores: Rows, iou: float) -> ScanView:
    case, names = named
    image, regions = read_case(case, names, work)
    return ScanView(
        name=case.name,
        image=image,
        window_hu=work.config.prepare.window,
        mask=read_volume(maps / "masks" / f"{case.name}.nii.gz", "label"),
        activation=read_volume(maps / "activation" / f"{case.name}.nii.gz"),
        truth=truth_or_note(case, image, work),
        regions=regions,
        headline=f"IoU {iou:.3f}" if math.isfinite(iou) else "no truth" if case.truth is None else "no lesions",
        rank=iou if math.isfinite(iou) else NO_LESIONS,
        scores=shown_scores(scores),
    )
