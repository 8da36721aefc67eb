"""The run and the prediction, for a person: tables at the root of the run, and report.html."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.datasets.case import Case
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.judging import method_name, read_truth
from weakmask.methods.dram.maps import judged_cases
from weakmask.methods.dram.methods_text import methods_text
from weakmask.methods.dram.model import DramModel
from weakmask.methods.dram.prepare import read_case
from weakmask.pipeline import Work, provenance, read_manifest
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume

Rows = Sequence[Mapping[Any, Any]]
MOST_SCANS = 12  # shown in a report; the worst
NO_LESIONS = 2.0  # their place among the scans, behind every IoU


def conclude(run: Path, config: DramSettings) -> pd.DataFrame:
    """Copy the tables to the run's root, write report.html and return the summary."""
    judged = run / "08-judging"
    for table in ("results.csv", "summary.csv", "summary_detail.csv", "severity.csv"):
        with atomic_file(run / table) as temporary:
            shutil.copyfile(judged / table, temporary)
    summary = pd.read_csv(run / "summary.csv")
    manifest = read_manifest(run)
    ours = next((row for row in summary.to_dict("records") if row["method"] == method_name(config)), None)
    page = Page(
        title=f"dRAM: {run.name}",
        summary=_sentence(config, ours),
        tiles=_tiles(ours),
        table=summary,
        table_caption=(
            "Means are over scans with lesions; pooled and specificity are over all scans. Kappa is linear weighted, "
            "with its 95 % bootstrap interval over scans."
        ),
        views=_worst_first(run, config),
        curves=pd.read_csv(run / "03-regression" / "curves.csv"),
        config=config.model_dump(mode="json"),
        methods_text=methods_text(config, manifest),
        provenance=manifest,
    )
    write_report(run / "report.html", page)
    return summary


def prediction_page(
    model: DramModel, model_path: Path, rows: Rows, views: Sequence[Callable[[], ScanView]], failures: Sequence[str]
) -> Page:
    """The report of a prediction: nothing to compare with, so masks, maps and scores."""
    totals: dict[str, int] = {}
    for row in rows:
        totals[str(row["scan"])] = totals.get(str(row["scan"]), 0) + int(str(row["score_predicted"]))
    span = " to ".join(str(total) for total in sorted({min(totals.values()), max(totals.values())}))
    return Page(
        title="dRAM: prediction",
        summary=f"{len(totals)} scan{'s' if len(totals) > 1 else ''} segmented with {model_path}; severity {span}, "
        "summed over the regions.",
        tiles=(("scans", str(len(totals))), ("left out", str(len(failures))), ("threshold", f"{model.threshold:.2f}")),
        views=views[:MOST_SCANS],
        config=model.header["config"],
        methods_text=methods_text(DramSettings(**model.header["config"]), {}),
        provenance={**provenance(), "model": str(model_path), "trained_with": model.header["provenance"]},
        notes=tuple(f"left out: {line}" for line in failures),
    )


def shown_scores(rows: Rows) -> pd.DataFrame:
    """Score rows of one scan as the report shows them: region, fraction, predicted, and given where there is one."""
    columns = {"region": "region", "fraction": "fraction", "score_predicted": "predicted", "score_given": "given"}
    shown = [{new: row.get(old) for old, new in columns.items()} for row in rows]
    return pd.DataFrame(shown).dropna(axis="columns", how="all")


def _sentence(config: DramSettings, ours: Mapping[Any, Any] | None) -> str:
    if ours is None or not math.isfinite(ours["iou_mean"]):
        return f"{method_name(config)}, trained from scores alone; there was no truth to judge masks by."
    return (
        f"{ours['method']}, trained from scores alone, reaches a mean IoU of {ours['iou_mean']:.3f} (pooled "
        f"{ours['iou_pooled']:.3f}) and a kappa of {ours['kappa']:.3f} on {ours['scans']} scans it has not seen."
    )


def _tiles(ours: Mapping[Any, Any] | None) -> tuple[tuple[str, str], ...]:
    if ours is None:
        return ()
    names = {"iou_mean": "mean IoU", "dice_mean": "mean Dice", "sensitivity": "sensitivity", "kappa": "kappa"}
    return (("scans", str(ours["scans"])), *((text, f"{ours[column]:.3f}") for column, text in names.items()))


def _worst_first(run: Path, config: DramSettings) -> list[Callable[[], ScanView]]:
    """Ways to load the judged scans, the lowest IoU first; scans without lesions come last."""
    method = method_name(config)
    results = pd.read_csv(run / "results.csv", dtype={"scan": str}).to_dict("records")
    severity = pd.read_csv(run / "severity.csv", dtype={"scan": str, "region": str}).to_dict("records")
    ours = {row["scan"]: row for row in results if row["method"] == method and row["subset"] == "all"}
    work = Work(run, run, config)
    loaders: list[tuple[float, Callable[[], ScanView]]] = []
    for case in judged_cases(work)[1]:
        if not (run / "07-maps" / "masks" / f"{case.name}.nii.gz").exists():
            continue
        row = ours.get(case.name)
        positive = row is not None and row["tp"] + row["fn"] > 0
        iou = row["iou"] if row is not None and positive else math.nan
        scores = [row for row in severity if row["scan"] == case.name and row["method"] == method]
        loaders.append((iou if positive else NO_LESIONS, partial(_view, work, case, scores, iou)))
    return [load for _, load in sorted(loaders, key=lambda pair: pair[0])[:MOST_SCANS]]


def _view(work: Work, case: Case, scores: Rows, iou: float) -> ScanView:
    image, regions = read_case(case, work)
    folder = work.run / "07-maps"
    return ScanView(
        name=case.name,
        image=image,
        window_hu=work.config.prepare.window,
        mask=read_volume(folder / "masks" / f"{case.name}.nii.gz", "label"),
        activation=read_volume(folder / "activation" / f"{case.name}.nii.gz"),
        truth=read_truth(case, image),
        regions=regions,
        headline=f"IoU {iou:.3f}" if math.isfinite(iou) else "no lesions",
        rank=iou if math.isfinite(iou) else NO_LESIONS,
        scores=shown_scores(scores),
    )
