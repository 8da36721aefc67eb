"""The run and the prediction, for a person: tables at the root of the run, and report.html."""

import math
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.judging import method_name, read_truth
from weakmask.methods.dram.maps import judged_cases
from weakmask.methods.dram.methods_text import methods_text
from weakmask.methods.dram.model import DramModel
from weakmask.methods.dram.prepare import read_case
from weakmask.pipeline import Work, provenance, read_manifest
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume

MOST_SCANS = 12  # shown in a report; the worst


def conclude(run: Path, config: DramSettings) -> pd.DataFrame:
    """Copy the tables to the run's root, write report.html and return the summary."""
    judged = run / "05-judging"
    for table in ("results.csv", "summary.csv", "summary_detail.csv", "severity.csv"):
        with atomic_file(run / table) as temporary:
            shutil.copyfile(judged / table, temporary)
    summary = pd.read_csv(run / "summary.csv")
    manifest = read_manifest(run)
    ours = summary[summary["method"] == method_name(config)]
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
        curves=pd.read_csv(run / "02-regression" / "curves.csv"),
        config=config.model_dump(mode="json"),
        methods_text=methods_text(config, manifest),
        provenance=manifest,
    )
    write_report(run / "report.html", page)
    return summary


def prediction_page(
    model: DramModel,
    model_path: Path,
    scores: pd.DataFrame,
    views: Sequence[Callable[[], ScanView]],
    failures: Sequence[str],
) -> Page:
    """The report of a prediction: nothing to compare with, so masks, maps and scores."""
    scans = scores["scan"].nunique()
    marked = scores.groupby("scan")["score_predicted"].sum()
    return Page(
        title="dRAM: prediction",
        summary=f"{scans} scan{'s' if scans > 1 else ''} segmented with {model_path}; "
        f"severity {marked.min()} to {marked.max()}, summed over the regions.",
        tiles=(("scans", str(scans)), ("left out", str(len(failures))), ("threshold", f"{model.threshold:.2f}")),
        views=views[:MOST_SCANS],
        config=model.header["config"],
        methods_text=methods_text(DramSettings(**model.header["config"]), {}),
        provenance={**provenance(), "model": str(model_path), "trained_with": model.header["provenance"]},
        notes=tuple(f"left out: {line}" for line in failures),
    )


def _sentence(config: DramSettings, ours: pd.DataFrame) -> str:
    if ours.empty or not math.isfinite(float(ours["iou_mean"].iloc[0])):
        return f"{method_name(config)}, trained from scores alone; there was no truth to judge masks by."
    row = ours.iloc[0]
    return (
        f"{row['method']}, trained from scores alone, reaches a mean IoU of {row['iou_mean']:.3f} (pooled "
        f"{row['iou_pooled']:.3f}) and a kappa of {row['kappa']:.3f} on {row['scans']} scans it has not seen."
    )


def _tiles(ours: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    if ours.empty:
        return ()
    row = ours.iloc[0]
    names = {"iou_mean": "mean IoU", "dice_mean": "mean Dice", "sensitivity": "sensitivity", "kappa": "kappa"}
    return (("scans", str(row["scans"])), *((text, f"{row[column]:.3f}") for column, text in names.items()))


def _worst_first(run: Path, config: DramSettings) -> list[Callable[[], ScanView]]:
    """Ways to load the judged scans, the lowest IoU first; scans without lesions come last, by what was marked."""
    results = pd.read_csv(run / "results.csv", dtype={"scan": str})
    scores = pd.read_csv(run / "severity.csv", dtype={"scan": str, "region": str})
    ours = results[(results["method"] == method_name(config)) & (results["subset"] == "all")].set_index("scan")
    work = Work(run, run, config)
    cases, _ = judged_cases(work)
    loaders = []
    for case in cases:
        if not (run / "04-maps" / "masks" / f"{case.name}.nii.gz").exists():
            continue
        iou = float(ours["iou"].get(case.name, math.nan))
        rank = iou if math.isfinite(iou) and ours["fn"][case.name] + ours["tp"][case.name] > 0 else 2.0
        table = scores[(scores["scan"] == case.name) & (scores["method"] == method_name(config))]
        loaders.append((rank, partial(_view, work, case, table, rank, iou)))
    return [load for _, load in sorted(loaders, key=lambda pair: pair[0])[:MOST_SCANS]]


def _view(work: Work, case: Any, scores: pd.DataFrame, rank: float, iou: float) -> ScanView:
    image, regions = read_case(case, work)
    folder = work.run / "04-maps"
    columns = {"score_predicted": "predicted", "score_given": "given"}
    return ScanView(
        name=case.name,
        image=image,
        window_hu=work.config.prepare.window,
        mask=read_volume(folder / "masks" / f"{case.name}.nii.gz", "label"),
        activation=read_volume(folder / "activation" / f"{case.name}.nii.gz"),
        truth=read_truth(case, image),
        regions=regions,
        headline=f"IoU {iou:.3f}" if math.isfinite(iou) else "",
        rank=rank,
        scores=scores[["region", "fraction", *columns]].rename(columns=columns),
    )
