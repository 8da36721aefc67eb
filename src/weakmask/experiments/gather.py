"""What the complete runs found: a line per row, seed, scan and subtype; a line per row and seed; medians over seeds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from weakmask.evaluation.overlap import SUBSETS
from weakmask.evaluation.table import SUMMARY_COLUMNS, read_results, read_scores, summarise, summarise_detail
from weakmask.experiments.table2_rows import ROWS
from weakmask.pipeline import read_manifest

SUBTYPES = {"consolidation": "consolidation", "ground-glass": "ground_glass", "mixed": "mixture"}  # subset -> column
TABLE_COLUMNS = (
    *("row", "method", "ablation", "seed", "scans"),
    *("iou_mean", *(f"iou_mean_{name}" for name in SUBTYPES.values())),
    *("iou_pooled", *(f"iou_pooled_{name}" for name in SUBTYPES.values())),
    *("dice_mean", "dice_pooled", "ppv", "sensitivity", "specificity", "kappa", "kappa_low", "kappa_high", "seconds"),
)


@dataclass(frozen=True)
class Judged:
    """One complete run.

    Attributes:
        row: Its name in `ROWS`.
        seed: Of the run.
        results: Of its own mask, with `evaluation.table.RESULT_COLUMNS`; the method is the row's title.
        scores: Likewise, with `SCORE_COLUMNS`.
        seconds: Of all its stages, those included that it took over from another row.
    """

    row: str
    seed: int
    results: pd.DataFrame
    scores: pd.DataFrame
    seconds: float


def judged_runs(out: Path) -> list[Judged]:
    """All complete runs, in the table's order."""
    return [_judged(name, run) for name in ROWS for run in runs_of(out, name)]


def runs_of(out: Path, row: str) -> Iterator[Path]:
    """The complete runs of a row, the first seed first."""
    folders = (out / "rows" / row).glob("seed-*")
    for run in sorted(folders, key=lambda folder: int(folder.name.split("-")[1])):
        if (run / "report.html").exists():
            yield run


def _judged(row: str, run: Path) -> Judged:
    """A run's own mask stands first in its tables, before the floors that each run is set beside."""
    results = read_results(run / "results.csv")
    scores = read_scores(run / "severity.csv")
    own, title = str(results["method"].iloc[0]), ROWS[row].title
    return Judged(
        row=row,
        seed=int(run.name.split("-")[1]),
        results=results[results["method"] == own].assign(method=title),
        scores=scores[scores["method"] == own].assign(method=title),
        seconds=sum(stage["seconds"] for stage in read_manifest(run)["stages"]),
    )


def all_results(runs: list[Judged]) -> pd.DataFrame:
    """A line per row, seed, scan and subset."""
    tables = []
    for run in runs:
        table = run.results.copy()
        table.insert(0, "row", run.row)
        table.insert(1, "seed", run.seed)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def tabulate(runs: list[Judged]) -> pd.DataFrame:
    """A line per row and seed, with `TABLE_COLUMNS`.

    Means are over the scans with lesions (of the subtype, where it is one); pooled ratios are made of the counts of
    all scans together. What is marked where no lesion is counts as false for each subtype.
    """
    return pd.DataFrame([_line(run) for run in runs], columns=list(TABLE_COLUMNS))


def _line(run: Judged) -> dict[str, Any]:
    detail: dict[tuple[str, str], dict[Any, Any]] = {
        (line["subset"], line["cases"]): line for line in summarise_detail(run.results).to_dict("records")
    }
    line: dict[str, Any] = dict(summarise(run.results, run.scores).to_dict("records")[0])
    for subset in SUBSETS[1:]:
        for cases, measure in (("positives", "iou_mean"), ("all", "iou_pooled")):
            found = detail.get((subset, cases))
            line[f"{measure}_{SUBTYPES[subset]}"] = float("nan") if found is None else found[measure]
    line["dice_pooled"] = detail["all", "all"]["dice_pooled"]
    row = ROWS[run.row]
    return line | {
        "row": run.row,
        "method": row.method,
        "ablation": row.ablation,
        "seed": run.seed,
        "seconds": round(run.seconds, 1),
    }


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """A line per row: of each number its median over the seeds, and how many seeds these are.

    Args:
        table: What `tabulate` gives.

    Returns:
        `TABLE_COLUMNS` with `seeds` in the place of `seed`.
    """
    lines: dict[str, list[dict[Any, Any]]] = {}
    for line in table.to_dict("records"):
        lines.setdefault(str(line["row"]), []).append(line)
    return pd.DataFrame([_middle(mine) for mine in lines.values()])


def _middle(mine: list[dict[Any, Any]]) -> dict[str, Any]:
    """Of one row's lines."""
    words = {name: mine[0][name] for name in ("row", "method", "ablation")}
    numbers = TABLE_COLUMNS[TABLE_COLUMNS.index("scans") :]
    found = {name: _median([float(line[name]) for line in mine]) for name in numbers}
    return words | {"seeds": len(mine)} | found | {"scans": int(found["scans"])}


def _median(values: list[float]) -> float:
    """Of those that are numbers: an empty mask has no ppv."""
    there = [value for value in values if not math.isnan(value)]
    return median(there) if there else math.nan


def summary_of(middle: pd.DataFrame) -> pd.DataFrame:
    """The medians in the columns that every summary.csv has."""
    return middle.assign(method=[ROWS[row].title for row in middle["row"]]).loc[:, list(SUMMARY_COLUMNS)]
