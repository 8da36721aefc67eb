"""The results of complete runs: of every scan, of every row and seed, and of every row."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from weakmask.evaluation.subtype_summary import summary_line
from weakmask.evaluation.table import read_scores
from weakmask.experiments.experiment import Experiment, Judged, Row, Setup, Tables
from weakmask.pipeline import read_manifest

WORDS = ("row", "method", "ablation")

Measure = Callable[[Sequence[Judged]], Mapping[str, Any]]  # runs of one row and seed, one per fold -> their numbers


def judged_runs(experiment: Experiment, setup: Setup) -> list[Judged]:
    """All complete runs, in the order of the table."""
    return [
        Judged(
            place=place,
            run=run,
            row=experiment.rows[place.row],
            settings=experiment.settings_of(setup, place),
            results=_own(experiment.read(run / "results.csv")),
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
        titled = one.results.assign(method=one.row.title, **keys)
        tables.append(titled[[*keys, *dict.fromkeys(("method", *one.results.columns))]])
    return pd.concat(tables, ignore_index=True)


def lesion_numbers(runs: Sequence[Judged]) -> dict[str, Any]:
    """The numbers of lesion masks with scores per region: those of `summary_line`."""
    results = pd.concat([run.results for run in runs])
    scores = pd.concat([_own(read_scores(run.run / "severity.csv")) for run in runs])
    title = runs[0].row.title  # one name for all folds
    return summary_line(results.assign(method=title), scores.assign(method=title))


def seed_table(runs: Sequence[Judged], measure: Measure = lesion_numbers) -> pd.DataFrame:
    """A line per row and seed, over all folds: `WORDS`, `seed`, the measure's numbers, and `seconds` of training."""
    lines = []
    for (name, seed), group in groupby(runs, lambda run: (run.place.row, run.place.seed)):
        of_seed = list(group)
        row = of_seed[0].row
        words = {"row": name, "method": row.title.removesuffix(row.ablation).strip(), "ablation": row.ablation}
        seconds = sum(stage["seconds"] for run in of_seed for stage in read_manifest(run.run)["stages"])
        lines.append({**words, "seed": seed, **measure(of_seed), "seconds": round(seconds, 1)})
    return pd.DataFrame(lines)


def complete_seeds(runs: Sequence[Judged]) -> list[Judged]:
    """The runs of the seeds with the most scans of each row: a seed that lacks a fold is left out."""
    scans: Counter[tuple[str, int]] = Counter()
    for run in runs:
        scans[run.place.row, run.place.seed] += len(set(run.results["scan"]))
    most = {row: max(scans[key] for key in scans if key[0] == row) for row, _ in scans}
    return [run for run in runs if scans[run.place.row, run.place.seed] == most[run.place.row]]


def by_row(table: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Row -> its lines of a table, in order of appearance."""
    found: dict[str, list[dict[Any, Any]]] = {}
    for line in table.to_dict("records"):
        found.setdefault(str(line["row"]), []).append(line)
    return found


def over_seeds(table: pd.DataFrame, function: Callable[[list[float]], float]) -> pd.DataFrame:
    """A line per row of a `seed_table`: `WORDS`, how many seeds there are, and of each number its mean or the like.

    Args:
        table: The table.
        function: A mean, a median, or a spread over seeds.
    """
    numbers = [name for name in table.columns if name not in {*WORDS, "seed"}]
    found = []
    for lines in by_row(table).values():
        middle = {name: condensed((line[name] for line in lines), function) for name in numbers}
        found.append({**{name: lines[0][name] for name in WORDS}, "seeds": len(lines), **middle})
    return pd.DataFrame(found)


def mean_tables(runs: Sequence[Judged], measure: Measure) -> Tables:
    """Plain tables for any measure: all results, a line per row and seed, and the mean and spread of each row.

    The files are results.csv, seeds.csv and table.csv. Means are over `complete_seeds`. The summary names the row with
    the highest mean of the first number.

    Args:
        runs: The complete runs.
        measure: Of the runs of one row and seed; its first number is the one to compare rows by, the higher the better.
    """
    seeds = seed_table(complete_seeds(runs), measure)
    means, spreads = over_seeds(seeds, fmean), over_seeds(seeds, spread)
    measured = [name for name in seeds.columns if name not in {*WORDS, "seed", "seconds"}]
    columns = {f"{name}{end}": of[name] for name in measured for end, of in (("", means), ("_sd", spreads))}
    table = means[["row", "method", "seeds"]].assign(**columns, seconds=means["seconds"])
    first, named = measured[0], measured[0].replace("_", " ")
    ranked = table.dropna(subset=[first]).sort_values(first, kind="stable").to_dict("records")
    summary = f"No row has a number for {named}."
    if ranked:
        summary = f"{ranked[-1]['method']} has the highest {named}: {ranked[-1][first]:.3f}."
    return Tables(
        files={"results.csv": all_results(runs), "seeds.csv": seeds, "table.csv": table},
        report=table,
        console=table,
        summary=summary,
    )


def compared_pairs(
    rows: Mapping[str, Row], results: pd.DataFrame, baselines: Sequence[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs of rows to compare, of those that have results: each with the baseline, and each with the row below it.

    Args:
        rows: Of the experiment.
        results: The table of `all_results`.
        baselines: Rows that are baselines; the first one that has results is the one to compare with.
    """
    known = list(dict.fromkeys(results["row"]))
    baseline = next((row for row in baselines if row in known), None)
    with_baseline = [(row, baseline) for row in known if baseline is not None and row not in baselines]
    return with_baseline, [(row, below) for row in known if (below := rows[row].below) is not None and below in known]


def condensed(values: Iterable[Any], function: Callable[[list[float]], float]) -> float:
    """A mean or median of those values that are numbers (an empty mask has no ppv); nan if none is."""
    known = [float(value) for value in values if not math.isnan(value)]
    return function(known) if known else math.nan


def spread(values: Sequence[float]) -> float:
    """The standard deviation; nan for a single value."""
    return stdev(values) if len(values) > 1 else math.nan
