"""Which row is better than which, scan by scan: Wilcoxon's test, and the effect of each rung with its interval.

Of several seeds, a scan's value is its mean over the seeds that both rows have; a scan is one pair however many seeds
there are. Scans without lesions have no IoU that says anything, and are left out.
"""

import math
from dataclasses import astuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from weakmask.evaluation.overlap import SUBSETS
from weakmask.evaluation.significance import COMPARISON_COLUMNS, LEVEL, SignedRank, signed_rank
from weakmask.experiments.table2_rows import BASELINE, CAM_RAW, ROWS

AGAINST_CAM, RUNG = "against CAM", "against the rung below"
EFFECT_COLUMNS = ("row", "method", "below", "subset", "scans", "seeds", "iou", "iou_below", "effect", "low", "high")
RESAMPLES = 10_000

Values = Float[np.ndarray, " scans"]


def significance(results: pd.DataFrame) -> pd.DataFrame:
    """Every row against CAM (refined; raw where that is missing), and every rung against the one below.

    Args:
        results: What `table2_gather.all_results` gives.

    Returns:
        `question` and then `COMPARISON_COLUMNS`. `p_corrected` is p times the number of all tests of the table that
        could be made, at most 1 (Bonferroni).
    """
    there = list(dict.fromkeys(results["row"]))
    cam = BASELINE if BASELINE in there else CAM_RAW
    asked = [(AGAINST_CAM, row, cam) for row in there if row not in {cam, CAM_RAW}] if cam in there else []
    asked += [(RUNG, row, below) for row in there if (below := ROWS[row].below) in there and below is not None]
    tests: list[tuple[tuple[str, str, str], SignedRank]] = []
    for question in asked:
        ours, theirs, _, _ = paired(results, question[1], question[2], "all")
        tests.append((question, signed_rank(ours, theirs)))
    count = sum(found.pairs > 0 for _, found in tests)
    lines = []
    for (question, row, other), found in tests:
        corrected = min(1.0, found.p * count) if found.pairs else math.nan
        names = (question, ROWS[row].title, ROWS[other].title, "iou")
        lines.append((*names, *astuple(found), corrected, corrected < LEVEL))
    return pd.DataFrame(lines, columns=["question", *COMPARISON_COLUMNS])


def effects(results: pd.DataFrame) -> pd.DataFrame:
    """What each rung adds to the one below: the mean difference of IoU, overall and per subtype.

    Args:
        results: As `significance`.

    Returns:
        `EFFECT_COLUMNS`; `low` and `high` are the 95 % percentile bootstrap interval over scans.
    """
    there = list(dict.fromkeys(results["row"]))
    lines = []
    for row in there:
        below = ROWS[row].below
        if below is None or below not in there:
            continue
        for subset in SUBSETS:
            ours, theirs, scans, seeds = paired(results, row, below, subset)
            if scans:
                means = float(ours.mean()), float(theirs.mean())
                interval = bootstrap_interval(ours - theirs)
                names = (row, ROWS[row].title, ROWS[below].title, subset, scans, seeds)
                lines.append((*names, *means, float((ours - theirs).mean()), *interval))
    return pd.DataFrame(lines, columns=list(EFFECT_COLUMNS))


def paired(results: pd.DataFrame, row: str, other: str, subset: str) -> tuple[Values, Values, int, int]:
    """The IoU of both rows for the scans that both have, how many these are, and over how many seeds."""
    first, second = (_by_seed(results, name, subset) for name in (row, other))
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return np.zeros(0), np.zeros(0), 0, 0
    scans = sorted(set.intersection(*(set(values[seed]) for values in (first, second) for seed in seeds)))
    ours, theirs = (
        np.array([np.mean([values[seed][scan] for seed in seeds]) for scan in scans], dtype=float)
        for values in (first, second)
    )
    return ours, theirs, len(scans), len(seeds)


def bootstrap_interval(differences: Values, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """The percentile interval of the mean, drawing whole scans with replacement; (nan, nan) without any."""
    count = len(differences)
    if count == 0:
        return math.nan, math.nan
    draws = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    low, high = np.quantile(differences[draws].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _by_seed(results: pd.DataFrame, row: str, subset: str) -> dict[int, dict[str, float]]:
    """Seed -> scan -> IoU, of scans with lesions of the subset."""
    found: dict[int, dict[str, float]] = {}
    for line in results.to_dict("records"):
        if (line["row"], line["subset"]) == (row, subset) and line["tp"] + line["fn"] > 0:
            found.setdefault(int(line["seed"]), {})[str(line["scan"])] = float(line["iou"])
    return found
