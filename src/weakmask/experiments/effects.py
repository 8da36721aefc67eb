"""Which row is better than which, scan by scan: Wilcoxon's test, and the effect of each row on the one below it.

Of several seeds, a scan's value is its mean over the seeds that both rows have; a scan is one pair however many seeds
there are. Scans without lesions have no meaningful IoU and are left out.
"""

import math
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from weakmask.evaluation.overlap import SUBSETS
from weakmask.evaluation.significance import COMPARISON_COLUMNS, LEVEL, SignedRank, bootstrap_interval, signed_rank
from weakmask.experiments.experiment import Row

AGAINST_BASELINE, AGAINST_BELOW = "against CAM", "against the rung below"
EFFECT_COLUMNS = ("row", "method", "below", "subset", "scans", "seeds", "iou", "iou_below", "effect", "low", "high")

Values = Float[np.ndarray, " scans"]


def significance(results: pd.DataFrame, rows: Mapping[str, Row], baselines: tuple[str, ...]) -> pd.DataFrame:
    """Test every row against the baseline, and against the row below it.

    Args:
        results: The table of `all_results`.
        rows: Of the experiment.
        baselines: Rows that are baselines; the first one that has results is the one to test against.

    Returns:
        `question` and then `COMPARISON_COLUMNS`. `p_corrected` is p times the number of all tests of the table that
        could be made, at most 1 (Bonferroni).
    """
    known = list(dict.fromkeys(results["row"]))
    baseline = next((row for row in baselines if row in known), None)
    asked = [(AGAINST_BASELINE, row, baseline) for row in known if baseline and row not in baselines]
    asked += [(AGAINST_BELOW, row, rows[row].below) for row in known if rows[row].below in known]
    tests: list[tuple[tuple[str, str, str], SignedRank]] = []
    for question, row, other in asked:
        if other is not None:
            first, second, _, _ = paired(results, row, other, "all")
            tests.append(((question, rows[row].title, rows[other].title), signed_rank(first, second)))
    count = sum(found.pairs > 0 for _, found in tests)
    lines = []
    for names, found in tests:
        corrected = min(1.0, found.p * count) if found.pairs else math.nan
        lines.append((*names, "iou", *astuple(found), corrected, corrected < LEVEL))
    return pd.DataFrame(lines, columns=["question", *COMPARISON_COLUMNS])


def effects(results: pd.DataFrame, rows: Mapping[str, Row]) -> pd.DataFrame:
    """The mean difference of IoU between each row and the row below it, overall and per subtype.

    Args:
        results: As in `significance`.
        rows: Likewise.

    Returns:
        `EFFECT_COLUMNS`; `low` and `high` are the 95 % percentile bootstrap interval over scans.
    """
    known = list(dict.fromkeys(results["row"]))
    lines = []
    for row in known:
        below = rows[row].below
        for subset in SUBSETS if below is not None and below in known else ():
            first, second, scans, seeds = paired(results, row, str(below), subset)
            if scans:
                means = float(first.mean()), float(second.mean())
                names = (row, rows[row].title, rows[str(below)].title, subset, scans, seeds)
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
