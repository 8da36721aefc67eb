"""The tables and the report of all runs that are complete."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError
from weakmask.experiments.effects import AGAINST_CAM, effects, significance
from weakmask.experiments.examples_figure import example_scans, write_examples
from weakmask.experiments.gather import (
    SUBTYPES,
    all_results,
    judged_runs,
    medians,
    runs_of,
    summary_of,
    tabulate,
)
from weakmask.experiments.table2_rows import BASELINE, CAM_RAW, ROWS, RUNGS
from weakmask.pipeline import provenance
from weakmask.region_learning.settings import PrepareSettings
from weakmask.report.figures import data_uri
from weakmask.report.number_text import decimals
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume

CAPTION = (
    "Medians over seeds. Means are over scans with lesions, those of a subtype over scans with lesions of it; pooled "
    "and specificity are over all scans. Kappa is linear weighted, with its 95 % bootstrap interval over patients. The "
    "paper's IoU (Table IV b) is of its own scans."
)


PICTURE_CAPTION = (
    "Test scans from the least ill to the most, each in the coronal slice with the largest lesion area: the truth in "
    "blue, what a method marks in orange, as the first seed has it."
)


def write_everything(out: Path) -> pd.DataFrame:
    """Write the tables, the examples and the report; returns the table for the console.

    Raises:
        UserError: No run is complete.
    """
    runs = judged_runs(out)
    if not runs:
        raise UserError(f"{out}: no run is complete; nothing to tabulate")
    results, table = all_results(runs), tabulate(runs)
    middle = medians(table)
    tested, added = significance(results), effects(results)
    frames = {
        "results.csv": results,
        "table2.csv": table,
        "summary.csv": summary_of(middle),
        "significance.csv": tested,
        "effects.csv": added,
    }
    for name, frame in frames.items():
        with atomic_file(out / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    picture = write_examples(out, results)
    write_report(out / "report.html", _page(out, results, middle, tested, added, picture))
    return console_table(middle, added)


def console_table(middle: pd.DataFrame, added: pd.DataFrame) -> pd.DataFrame:
    """A line per row, short enough for a terminal."""
    overall = {line["row"]: line for line in added.to_dict("records") if line["subset"] == "all"}
    return pd.DataFrame([_console_line(line, overall.get(line["row"])) for line in middle.to_dict("records")])


def _console_line(line: Mapping[Any, Any], effect: Mapping[Any, Any] | None) -> dict[str, str]:
    numbers = {
        "IoU": "iou_mean",
        "consol.": "iou_mean_consolidation",
        "GGO": "iou_mean_ground_glass",
        "mixture": "iou_mean_mixture",
        "pooled": "iou_pooled",
        "Dice": "dice_mean",
        "PPV": "ppv",
        "sens.": "sensitivity",
        "kappa": "kappa",
    }
    return {
        "row": ROWS[line["row"]].title,
        "seeds": str(line["seeds"]),
        **{name: _decimals(line[column]) for name, column in numbers.items()},
        "paper": _decimals(ROWS[line["row"]].published),
        "adds (95 %)": "" if effect is None else _effect(effect),
        "minutes": f"{line['seconds'] / 60:.1f}",
    }


def _effect(line: Mapping[Any, Any]) -> str:
    low, high = (decimals(line[end], 3) for end in ("low", "high"))
    sign = "+" if line["effect"] >= 0 else ""
    return f"{sign}{decimals(line['effect'], 3)} ({low} to {high})"


def _decimals(value: float) -> str:
    return "-" if math.isnan(value) else decimals(value, 3)


def _page(
    out: Path,
    results: pd.DataFrame,
    middle: pd.DataFrame,
    tested: pd.DataFrame,
    added: pd.DataFrame,
    picture: Path | None,
) -> Page:
    table = summary_of(middle)
    for place, name in enumerate(SUBTYPES.values(), list(table.columns).index("iou_mean") + 1):
        table.insert(place, f"IoU, {name.replace('_', ' ')}", middle[f"iou_mean_{name}"].tolist())
    table["IoU, paper"] = [ROWS[row].published for row in middle["row"]]
    return Page(
        title="dRAM's comparison and ablation, on phantoms",
        summary=sentence(middle, tested),
        table=table,
        table_caption=CAPTION,
        picture="" if picture is None else data_uri(picture.read_bytes(), "image/webp"),
        picture_caption=PICTURE_CAPTION,
        views=_views(out, results),
        notes=tuple(
            f"{line['method']} adds {_effect(line)} to the mean IoU of {line['below']}."
            for line in added.to_dict("records")
            if line["subset"] == "all"
        ),
        provenance=provenance(),
    )


def sentence(middle: pd.DataFrame, tested: pd.DataFrame) -> str:
    """How the highest rung of dRAM that is there compares with CAM and with the supervised bound."""
    there: dict[str, dict[Any, Any]] = {str(line["row"]): line for line in middle.to_dict("records")}
    shown = highest_rung(there)
    if shown is None:
        return "Rows that are complete so far; none of them is dRAM."
    ours = there[shown]["iou_mean"]
    text = f"{ROWS[shown].title}, trained from scores alone, reaches a mean IoU of {ours:.3f}"
    cam = BASELINE if BASELINE in there else CAM_RAW
    if cam in there:
        text += f", {ROWS[cam].title} {there[cam]['iou_mean']:.3f}"
        asked = (AGAINST_CAM, ROWS[shown].title)
        for line in tested.to_dict("records"):
            if (line["question"], line["method"]) == asked:
                text += f" (p {line['p_corrected']:.2g} after correction)"
    if "supervised" in there:
        bound = there["supervised"]["iou_mean"]
        text += f", the same network with true masks {bound:.3f}"
    return f"{text}."


def highest_rung(rows: Mapping[str, object]) -> str | None:
    """The most complete dRAM among some rows."""
    return next((name for name, *_ in reversed(RUNGS) if name in rows), None)


def _views(out: Path, results: pd.DataFrame) -> list[Callable[[], ScanView]]:
    """The example scans as the highest rung of the first seed marks them."""
    shown = highest_rung({name: None for name in ROWS if any(runs_of(out, name))})
    if shown is None:
        return []
    run = next(runs_of(out, shown))
    ious: dict[str, list[float]] = {}
    for line in results.to_dict("records"):
        if (line["row"], line["subset"]) == (shown, "all"):
            ious.setdefault(str(line["scan"]), []).append(float(line["iou"]))
    return [partial(_view, out, run, scan, ious[scan][0]) for scan in example_scans(results) if scan in ious]


def _view(out: Path, run: Path, scan: str, iou: float) -> ScanView:
    test, maps = out / "phantoms" / "test", next(run.glob("*-maps"))
    image = read_volume(test / "images" / f"{scan}.nii.gz")
    return ScanView(
        name=scan,
        image=image,
        window_hu=PrepareSettings().window,
        mask=read_volume(maps / "masks" / f"{scan}.nii.gz", "label"),
        activation=read_volume(maps / "activation" / f"{scan}.nii.gz"),
        truth=read_volume(test / "lesions" / f"{scan}.nii.gz", "label"),
        regions=read_volume(test / "regions" / f"{scan}.nii.gz", "label"),
        headline=f"IoU {iou:.3f}",
        rank=iou,
    )
