"""The results of complete runs: of every scan, of every row and seed, and of every row."""

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import pandas as pd

from weakmask.evaluation.overlap import SUBSETS
from weakmask.evaluation.table import read_results, read_scores, summarise, summarise_detail
from weakmask.experiments.experiment import Experiment, Judged, Row, Setup
from weakmask.pipeline import read_manifest

SUBTYPES = {"consolidation": "consolidation", "ground-glass": "ground_glass", "mixed": "mixture"}  # subset -> column
WORDS = ("row", "method", "ablation")
NUMBERS = (
    *("scans", "iou_mean", *(f"iou_mean_{name}" for name in SUBTYPES.values())),
    *("iou_pooled", *(f"iou_pooled_{name}" for name in SUBTYPES.values())),
    *("dice_mean", "dice_pooled", "ppv", "sensitivity", "specificity", "kappa", "kappa_low", "kappa_high", "seconds"),
)
TABLE_COLUMNS = (*WORDS, "seed", *NUMBERS)


def judged_runs(experiment: Experiment, setup: Setup) -> list[Judged]:
    """All complete runs, in the order of the table."""
    read = read_results if experiment.evaluate is None else pd.read_csv
    return [
        Judged(
            place=place,
            run=run,
            title=experiment.rows[place.row].title,
            results=_own(read(run / "results.csv")),
            test=experiment.cohorts(setup, place)[1],
        )
        for place, run in experiment.complete_runs(setup.out)
    ]


def _own(table: pd.DataFrame) -> pd.DataFrame:
    """The lines of a run's own mask; they come before those of the baselines."""
    return table.loc[table["method"] == table["method"].iloc[0], :] if "method" in table else table


def all_results(runs: Sequence[Judged]) -> pd.DataFrame:
    """The results of all runs, with the columns row, seed, fold (in a cross-validation) and, as method, the title."""
    tables = []
    for one in runs:
        fold = {} if one.place.fold is None else {"fold": one.place.fold}
        keys = {"row": one.place.row, "seed": one.place.seed, **fold}
        tables.append(one.results.assign(method=one.title, **keys)[[*keys, *one.results.columns]])
    return pd.concat(tables, ignore_index=True)


def seed_table(runs: Sequence[Judged], rows: dict[str, Row]) -> pd.DataFrame:
    """A line per row and seed with `TABLE_COLUMNS`, over all folds.

    Means are over the scans with lesions (of the subtype, where it is one); pooled ratios are made of the counts of
    all scans. A mark outside all lesions counts as false for each subtype.
    """
    lines = []
    for row, seed in dict.fromkeys((run.place.row, run.place.seed) for run in runs):
        of_seed = [run for run in runs if (run.place.row, run.place.seed) == (row, seed)]
        title, ablation = rows[row].title, rows[row].ablation
        results = pd.concat([run.results for run in of_seed]).assign(method=title)
        scores = pd.concat([_own(read_scores(run.run / "severity.csv")) for run in of_seed]).assign(method=title)
        detail: dict[Any, dict[Any, Any]] = {
            (line["subset"], line["cases"]): line for line in summarise_detail(results).to_dict("records")
        }
        line: dict[str, Any] = {**summarise(results, scores).to_dict("records")[0]}
        for subset in SUBSETS[1:]:
            for cases, measure in (("positives", "iou_mean"), ("all", "iou_pooled")):
                line[f"{measure}_{SUBTYPES[subset]}"] = detail.get((subset, cases), {}).get(measure, math.nan)
        seconds = sum(stage["seconds"] for run in of_seed for stage in read_manifest(run.run)["stages"])
        words = {"row": row, "method": title.removesuffix(ablation).strip(), "ablation": ablation, "seed": seed}
        pooled = detail["all", "all"]["dice_pooled"]
        lines.append(line | words | {"dice_pooled": pooled, "seconds": round(seconds, 1)})
    return pd.DataFrame(lines, columns=list(TABLE_COLUMNS))


def by_row(table: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Row -> its lines of a table, in order of appearance."""
    found: dict[str, list[dict[Any, Any]]] = {}
    for line in table.to_dict("records"):
        found.setdefault(str(line["row"]), []).append(line)
    return found


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """A line per row: of each number its median over the seeds, and how many seeds these are."""
    found = []
    for lines in by_row(table).values():
        middle = {name: condensed((line[name] for line in lines), median) for name in NUMBERS}
        found.append({**{name: lines[0][name] for name in WORDS}, "seeds": len(lines), **middle})
    return pd.DataFrame(found).astype({"scans": int})


def condensed(values: Iterable[Any], function: Callable[[list[float]], float]) -> float:
    """A mean or median of those values that are numbers (an empty mask has no ppv); nan if none is."""
    known = [float(value) for value in values if not math.isnan(value)]
    return function(known) if known else math.nan
