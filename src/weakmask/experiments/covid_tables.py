"""What the cross-validation found: a line per slice, a line per row, and a report with the worst slices."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError
from weakmask.experiments.covid_floors import FIXED, OPENED
from weakmask.experiments.covid_rows import PREPARE, ROWS
from weakmask.pipeline import provenance
from weakmask.region_learning.usable_cases import in_hounsfield
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume

FLOORS = {"Otsu in the region": "Otsu", "fixed threshold": "fixed threshold, regions weigh alike"}
ORDER = (*FLOORS, FIXED, OPENED, *ROWS)
SHOWN = "complete"
WORST = 8
COLUMNS = ("scan", "dice", "iou", "sensitivity", "ppv", "tp", "fp", "fn", "tn")
CLAIMS = (  # row, how far the complete dRAM must be above it
    (FIXED, 0.08),
    ("raw", 0.05),
)
PART_OF_BOUND, LARGEST_SPREAD = 0.90, 0.03


def write_results(out: Path) -> pd.DataFrame:
    """Gather all complete runs of a reproduction into per_slice.csv, table.csv and report.html; returns the table.

    Raises:
        UserError: No run is complete.
    """
    slices = pd.DataFrame(list(_judged(out)))
    if slices.empty:
        raise UserError(f"{out}: no run is complete; nothing to tabulate")
    table = tabulate(slices)
    for name, frame in (("per_slice.csv", slices), ("table.csv", table)):
        with atomic_file(out / name) as temporary:
            frame.to_csv(temporary, index=False)
    claims = checked_claims(table)
    page = Page(
        title="COVID-SemiSeg from scores",
        summary=claims[0] if claims else "Rows that are complete so far.",
        table=table.drop(columns="row"),
        table_caption=(
            "Dice is the mean over the 50 expert slices, inside the regions, each judged by a model that has not seen "
            "it; the mean and the standard deviation are over the seeds that are complete. IoU is pooled over slices."
        ),
        views=_worst(out, slices),
        notes=tuple(claims[1:]),
        provenance=provenance(),
    )
    write_report(out / "report.html", page)
    return table


def tabulate(slices: pd.DataFrame) -> pd.DataFrame:
    """One line per row: slices judged, seeds, Dice (mean and deviation over seeds, and each seed's), pooled IoU.

    Every number is of the same seeds: those that have judged the most slices. What needs no training comes first, then
    the rows as `ROWS` has them.

    Args:
        slices: per_slice.csv: row, method, seed, fold, scan, dice, iou, tp, fp, fn and more.
    """
    lines: dict[str, list[dict[Any, Any]]] = {}
    for line in slices.to_dict("records"):
        lines.setdefault(str(line["row"]), []).append(line)
    return pd.DataFrame([_tabulated(lines[row]) for row in sorted(lines, key=ORDER.index)])


def _tabulated(mine: list[dict[Any, Any]]) -> dict[str, object]:
    seeds = sorted({line["seed"] for line in mine})
    of_seeds = [[line for line in mine if line["seed"] == seed] for seed in seeds]
    most = max(len(one) for one in of_seeds)
    of_seeds = [one for one in of_seeds if len(one) == most]  # seeds that have not judged all folds yet cannot compare
    dice = [_mean([line["dice"] for line in one]) for one in of_seeds]
    iou = [
        sum(line["tp"] for line in one) / sum(line[n] for line in one for n in ("tp", "fp", "fn")) for one in of_seeds
    ]
    complete = [line for one in of_seeds for line in one]
    return {
        "row": mine[0]["row"],
        "method": mine[0]["method"],
        "scans": most,
        "seeds": len(of_seeds),
        "dice_mean": float(np.mean(dice)),
        "dice_sd": float(np.std(dice, ddof=1)) if len(dice) > 1 else math.nan,
        "dice_of_seeds": " ".join(f"{value:.3f}" for value in dice),
        "iou_pooled": float(np.mean(iou)),
        "sensitivity": _mean([line["sensitivity"] for line in complete]),
        "ppv": _mean([line["ppv"] for line in complete]),
    }


def _mean(values: list[float]) -> float:
    """The mean of those that are numbers: a mask that is empty has no ppv."""
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan


def checked_claims(table: pd.DataFrame) -> list[str]:
    """What the complete dRAM was to show, and whether it does; rows that are not there are passed over."""
    found: dict[str, dict[str, Any]] = {str(line["row"]): dict(line) for line in table.to_dict("records")}
    if SHOWN not in found:
        return []
    same = found[SHOWN]["scans"]  # rows that have not judged all slices yet cannot be compared
    found = {row: line for row, line in found.items() if line["scans"] == same}
    ours, spread = float(found[SHOWN]["dice_mean"]), float(found[SHOWN]["dice_sd"])
    lines = [f"dRAM from scores alone reaches a Dice of {ours:.3f}, {spread:.3f} standard deviation over seeds."]
    if "supervised" in found:
        share = ours / found["supervised"]["dice_mean"]
        lines.append(
            f"{_held(share >= PART_OF_BOUND)}: {share:.2f} of the supervised bound, {PART_OF_BOUND:.2f} wanted"
        )
    for row, wanted in CLAIMS:
        if row in found:
            above = ours - found[row]["dice_mean"]
            lines.append(f"{_held(above >= wanted)}: {above:+.3f} against {found[row]['method']}, {wanted} wanted")
    if np.isfinite(spread):
        lines.append(f"{_held(spread <= LARGEST_SPREAD)}: spread over seeds {spread:.3f}, at most {LARGEST_SPREAD}")
    return lines


def _held(holds: object) -> str:
    return "holds" if holds else "does not hold"


def _runs(out: Path) -> Iterator[Path]:
    for row in ROWS:
        for run in sorted((out / "rows" / row).glob("seed-*/fold-*")):
            if (run / "results.csv").exists():
                yield run


def _judged(out: Path) -> Iterator[dict[str, Any]]:
    """The slices of every complete run; the floors need no seed and are taken from the first runs that have them."""
    for results in sorted((out / "floors").glob("fold-*/results.csv")):
        for line in pd.read_csv(results, dtype={"scan": str}).to_dict("records"):
            yield _line(line, str(line["method"]), str(line["method"]), 0, results.parent.name)
    floors: set[str] = set()
    for run in _runs(out):
        row, seed, fold = run.parts[-3], int(run.parts[-2].split("-")[1]), run.parts[-1]
        with_floors = ROWS[row].source == "both" and fold not in floors
        floors |= {fold} if with_floors else set()
        lines = pd.read_csv(run / "results.csv", dtype={"scan": str}).to_dict("records")
        own = lines[0]["method"]  # behind it stand the floors, and of a refined CAM the raw one
        for line in lines:
            method = str(line["method"])
            if line["subset"] != "all":
                continue
            if method == own:
                yield _line(line, row, ROWS[row].title, seed, fold)
            elif method in FLOORS and with_floors:
                yield _line(line, method, FLOORS[method], 0, fold)


def _line(results: Mapping[Any, Any], row: str, title: str, seed: int, fold: str) -> dict[str, Any]:
    found = {name: results[name] for name in COLUMNS}
    return {"row": row, "method": title, "seed": seed, "fold": int(fold.split("-")[1]), **found}


def _worst(out: Path, slices: pd.DataFrame) -> list[Callable[[], ScanView]]:
    """The slices that the complete row segments worst, averaged over its seeds; shown as the first seed saw them."""
    mine = [line for line in slices.to_dict("records") if line["row"] == SHOWN and not math.isnan(line["dice"])]
    dices: dict[str, list[float]] = {}
    for line in mine:
        dices.setdefault(str(line["scan"]), []).append(line["dice"])
    means = {scan: float(np.mean(values)) for scan, values in dices.items()}
    first = {str(line["scan"]): line for line in sorted(mine, key=lambda line: -line["seed"])}
    return [
        partial(_view, out, first[scan], means[scan]) for scan in sorted(means, key=lambda scan: means[scan])[:WORST]
    ]


def _view(out: Path, line: Mapping[Any, Any], mean: float) -> ScanView:
    scan, fold = line["scan"], f"fold-{line['fold']}"
    test, run = out / "cohorts" / fold / "test", out / "rows" / SHOWN / f"seed-{line['seed']}" / fold
    maps = next(folder for folder in sorted(run.glob("*-maps")))
    image, regions = (
        read_volume(test / "images" / f"{scan}.jpg"),
        read_volume(test / "regions" / f"{scan}.png", "label"),
    )
    mask, activation = (read_volume(maps / kind / f"{scan}.nii.gz").voxels for kind in ("masks", "activation"))
    return ScanView(
        name=scan,
        image=in_hounsfield(image, regions, PREPARE),
        window_hu=PREPARE.window,
        mask=image.with_voxels(mask, "label"),
        activation=image.with_voxels(activation),
        truth=read_volume(test / "lesions" / f"{scan}.png", "label"),
        regions=regions,
        headline=f"Dice {mean:.3f}: {explained(line)}",
        rank=mean,
    )


def explained(line: Mapping[Any, Any]) -> str:
    """Why a slice is bad, in the words of its counts: tp, fp, fn and tn inside the regions."""
    truth, marked = line["tp"] + line["fn"], line["tp"] + line["fp"]
    size = f"lesions fill {100 * truth / max(1, truth + line['fp'] + line['tn']):.1f} % of the lungs"
    if marked < truth / 2:
        return f"{size}, most of it missed"
    if marked > 2 * truth:
        return f"{size}, {marked / max(1, truth):.1f} times as much marked"
    return f"{size}, marked elsewhere in part"
