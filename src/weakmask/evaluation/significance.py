"""Wilcoxon's signed-rank test of one method against the others, patient by patient, with Bonferroni's correction.

Xie et al. 2021 (arXiv 2105.11748), section IV-C-2: the best method against each alternative, p < 0.01 after correction.
The scans of one patient are alike, so they give one pair: the means of both methods over the patient's scans.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata, wilcoxon

from weakmask.evaluation.table import RATIOS, patients_of

LEVEL = 0.01  # the paper's
RESAMPLES = 10_000  # of the bootstrap
MOST_EXACT = 50  # pairs; beyond, the normal approximation is as good
COMPARISON_COLUMNS = (
    *("method", "alternative", "measure", "pairs", "differing", "median_difference", "statistic", "p", "p_corrected"),
    "significant",
)


@dataclass(frozen=True)
class SignedRank:
    """The result of the test for two methods.

    Attributes:
        pairs: Patients that have the measure for both.
        differing: Patients for whom it differs.
        median_difference: First minus second, over all pairs; nan without pairs.
        statistic: The smaller of the rank sums of both signs.
        p: Two-sided; nan without pairs, 1 where no pair differs.
    """

    pairs: int
    differing: int
    median_difference: float
    statistic: float
    p: float


def signed_rank(first: Float[np.ndarray, " pairs"], second: Float[np.ndarray, " pairs"]) -> SignedRank:
    """Wilcoxon's signed-rank test of paired values, two-sided.

    Pairs without a difference say nothing about its sign and are left out (Wilcoxon's own rule); equal differences
    share the mean of their ranks. Up to 50 differing pairs p is exact, given the ranks as they are: the part of the
    2^n ways to sign them that is at least as far from the middle as the one found. So few pairs need no rule of their
    own: n of them cannot give a p below 2^(1 - n), and fewer than 8 never one below 0.01. Beyond 50 it is SciPy's
    normal approximation, corrected for equal differences.

    Args:
        first: One method's measure of each patient; where it is nan, the pair is left out.
        second: The other method's, for the same patients.

    Raises:
        ValueError: The lengths differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.size} values against {second.size}; expected pairs")
    differences = (first - second)[np.isfinite(first) & np.isfinite(second)]
    if differences.size == 0:
        return SignedRank(0, 0, math.nan, math.nan, math.nan)
    median, signed = float(np.median(differences)), differences[differences != 0]
    if signed.size == 0:
        return SignedRank(differences.size, 0, median, 0.0, 1.0)
    ranks = rankdata(np.abs(signed))
    statistic = float(min(ranks[signed > 0].sum(), ranks[signed < 0].sum()))
    if signed.size <= MOST_EXACT:
        p = _exact_p(ranks, statistic)
    else:
        p = wilcoxon(signed, method="approx", correction=False).pvalue  # pyright: ignore[reportAttributeAccessIssue]
    return SignedRank(differences.size, signed.size, median, statistic, float(p))


def compare_methods(
    results: pd.DataFrame, method: str, measure: str = "iou", subset: str = "all", level: float = LEVEL
) -> pd.DataFrame:
    """One method against each alternative in a table of results.

    A pair is a patient: the means of both methods over the patient's scans that both have and whose truth has lesions
    (the IoU of a scan without lesions is 0 or undefined, whatever the method).

    Args:
        results: Table with `table.RESULT_COLUMNS`; of several runs put together, rows that both have (the floors)
            count once. Without a column `patient`, each scan has its own patient.
        method: The one that is compared.
        measure: One of `table.RATIOS`.
        subset: `all` or a lesion subtype.
        level: Significant where the corrected p is below this.

    Returns:
        One row per alternative with `COMPARISON_COLUMNS`, in the order of the table. `p_corrected` is p times the
        number of alternatives that could be tested, at most 1 (Bonferroni).

    Raises:
        ValueError: The method or the measure is not in the table, two runs in it speak of one method and scan
            differently, or a scan has two patients.
    """
    if measure not in RATIOS:
        raise ValueError(f"measure {measure!r} is unknown; expected one of {', '.join(RATIOS)}")
    positive: Any = results[(results["subset"] == subset) & (results["tp"] + results["fn"] > 0)]
    # `reindex` puts the methods back in the order of the table, also one that has no such scan
    names = list(dict.fromkeys(results["method"]))
    if method not in names:
        raise ValueError(f"method {method!r} is not in the results; they hold {', '.join(names) or 'nothing'}")
    positive = positive.drop_duplicates(["method", "scan", "tp", "fp", "fn"])
    twice = positive[positive.duplicated(["method", "scan"])]
    if not twice.empty:
        name, scan = twice.iloc[0]["method"], twice.iloc[0]["scan"]
        raise ValueError(f"two different rows of {name!r} for scan {scan}; rename the methods of one of the runs")
    values = positive.pivot(index="scan", columns="method", values=measure).reindex(columns=names)
    patients = _patient_of_each(positive)
    tests = {name: _by_patient(values[method], values[name], patients) for name in names if name != method}
    count = sum(found.pairs > 0 for found in tests.values())
    rows = []
    for name, found in tests.items():
        corrected = min(1.0, found.p * count) if found.pairs else math.nan
        numbers = (found.pairs, found.differing, found.median_difference, found.statistic, found.p, corrected)
        rows.append((method, name, measure, *numbers, corrected < level))
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))


def _patient_of_each(results: pd.DataFrame) -> dict[str, str]:
    """Scan -> patient; a table that knows the patient of a scan overrules one that does not."""
    found: dict[str, str] = {}
    for scan, patient in zip(results["scan"], patients_of(results), strict=True):
        known = found.setdefault(scan, patient)
        if patient not in {known, scan} and known != scan:
            raise ValueError(f"scan {scan} has two patients, {known} and {patient}; expected one")
        if known == scan:
            found[scan] = patient
    return found


def _by_patient(first: pd.Series, second: pd.Series, patients: Mapping[str, str]) -> SignedRank:
    """The test of two methods, on the means over each patient's scans that both methods have."""
    both: dict[str, list[tuple[float, float]]] = {}
    for scan, one, other in zip(first.index, first, second, strict=True):
        if np.isfinite(one) and np.isfinite(other):
            both.setdefault(patients[scan], []).append((one, other))
    means = np.array([np.mean(pairs, axis=0) for pairs in both.values()], dtype=float).reshape(-1, 2)
    return signed_rank(means[:, 0], means[:, 1])


def _exact_p(ranks: Float[np.ndarray, " pairs"], statistic: float) -> float:
    """Share of all signings whose smaller rank sum is at most the statistic."""
    doubled = np.rint(2 * ranks).astype(int)  # shared ranks are halves
    ways = np.zeros(int(doubled.sum()) + 1)  # [s]: signings whose positive ranks sum to s / 2
    ways[0] = 1.0
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    lower = ways[: round(2 * statistic) + 1].sum()
    return float(min(1.0, 2.0 * lower / ways.sum()))


def bootstrap_interval(
    differences: Float[np.ndarray, " scans"], level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, drawing scans with replacement; (nan, nan) without any."""
    count = len(differences)
    if count == 0:
        return math.nan, math.nan
    draws = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    low, high = np.quantile(differences[draws].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
