"""Rows of a table against each other, scan by scan: Wilcoxon's test, and the mean difference of IoU.

Of several seeds, a scan's value is its mean over the seeds that both rows have; a scan is one pair however many seeds
there are. Scans without lesions have no meaningful IoU and are left out.

The tables hold a line per row, seed, scan and subset: the columns of results.csv, with `row`, the row's short name,
`seed`, and `method`, its title.
"""

import math
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from weakmask.evaluation.overlap import SUBSETS
from weakmask.evaluation.significance import COMPARISON_COLUMNS, LEVEL, bootstrap_interval, signed_rank

EFFECT_COLUMNS = ("row", "method", "below", "subset", "scans", "seeds", "iou", "iou_below", "effect", "low", "high")

Values = Float[np.ndarray, " scans"]


def significance(results: pd.DataFrame, questions: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
    """Test pairs of rows against each other.

    Args:
        results: The table, as above.
        questions: Name of a question, a row, and the row to test it against.

    Returns:
        `question` and then `COMPARISON_COLUMNS`. `p_corrected` is p times the number of all tests of the table that
        could be made, at most 1 (Bonferroni).
    """
    titles = titles_of(results)
    tests = []
    for question, row, other in questions:
        first, second, _, _ = paired(results, row, other, "all")
        tests.append(((question, titles[row], titles[other]), signed_rank(first, second)))
    count = sum(found.pairs > 0 for _, found in tests)
    lines = []
    for names, found in tests:
        corrected = min(1.0, found.p * count) if found.pairs else math.nan
        lines.append((*names, "iou", *astuple(found), corrected, corrected < LEVEL))
    return pd.DataFrame(lines, columns=["question", *COMPARISON_COLUMNS])


def effects(results: pd.DataFrame, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """The mean difference of IoU between each row and the row below it, overall and per subtype.

    Args:
        results: The table, as above.
        pairs: A row, and the row below it.

    Returns:
        `EFFECT_COLUMNS`; `low` and `high` are the 95 % percentile bootstrap interval over scans.
    """
    titles = titles_of(results)
    lines = []
    for row, below in pairs:
        for subset in SUBSETS:
            first, second, scans, seeds = paired(results, row, below, subset)
            if scans:
                means = float(first.mean()), float(second.mean())
                names = (row, titles[row], titles[below], subset, scans, seeds)
                lines.append((*names, *means, float((first - second).mean()), *bootstrap_interval(first - second)))
    return pd.DataFrame(lines, columns=list(EFFECT_COLUMNS))


def paired(results: pd.DataFrame, row: str, other: str, subset: str) -> tuple[Values, Values, int, int]:
    """The IoU of two rows for the scans that both have, the number of these scans, and of the seeds behind them."""
    ill: Any = results[(results["subset"] == subset) & (results["tp"] + results["fn"] > 0)]
    both = ill.pivot_table(index=["scan", "seed"], columns="row", values="iou", dropna=False).reindex(
        columns=[row, other]
    )
    seeds = [seed for seed, lines in both.groupby("seed") if lines.notna().any().all()]
    kept = both[both.index.isin(seeds, level="seed")].dropna().groupby("scan")
    means = kept.mean()[kept.size() == len(seeds)]
    return means[row].to_numpy(), means[other].to_numpy(), len(means), len(seeds) if len(means) else 0


def titles_of(results: pd.DataFrame) -> dict[str, str]:
    """Short name -> title of each row, in order of appearance."""
    return dict(zip(results["row"], results["method"], strict=True))
