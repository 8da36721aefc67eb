"""The tables of a run, made of the counts per scan: results.csv, severity.csv, summary.csv and summary_detail.csv.

Tables written before the column `patient` existed are read as if each scan had its own patient.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from weakmask.atomic_write import atomic_files
from weakmask.csv_table import read_csv, write_csv
from weakmask.errors import UserError
from weakmask.evaluation.agreement import Agreement, agreement
from weakmask.evaluation.overlap import Overlap
from weakmask.scoring.severity import ScoreMap

COUNTS = ("tp", "fp", "fn", "tn")
RATIOS = ("iou", "dice", "ppv", "sensitivity", "specificity")
PATIENT = "patient"
RESULT_COLUMNS = ("method", "scan", PATIENT, "subset", *COUNTS, *RATIOS)
SCORE_COLUMNS = ("method", "scan", PATIENT, "region", "score_given", "score_predicted", "fraction")
SUMMARY_COLUMNS = (
    *("method", "scans", "iou_mean", "iou_pooled", "dice_mean", "ppv", "sensitivity", "specificity"),
    *("kappa", "kappa_low", "kappa_high"),
)
DETAIL_COLUMNS = (
    *("method", "subset", "cases", "scans", "scans_without_iou", "iou_mean", "iou_pooled", "dice_mean", "dice_pooled"),
    *("ppv", "sensitivity", "specificity", *COUNTS),
)

NO_AGREEMENT = Agreement(math.nan, math.nan, math.nan, regions=0)


def result_rows(method: str, scan: str, overlaps: Mapping[str, Overlap], patient: str = "") -> list[dict[str, object]]:
    """The rows of one scan in results.csv, one per subset (`all`, and the subtypes where the truth knows them).

    Args:
        method: Who made the mask.
        scan: The scan's name.
        overlaps: Subset -> counts.
        patient: The scan's patient (`Case.group`); empty: the scan has its own patient.
    """
    rows = []
    for subset, counted in overlaps.items():
        ratios = {name: getattr(counted, name) for name in RATIOS}
        identity = {"method": method, "scan": scan, PATIENT: patient or scan, "subset": subset}
        rows.append({**identity, **asdict(counted), **ratios})
    return rows


def score_rows(
    method: str,
    scan: str,
    given: Mapping[int, int],
    fractions: Mapping[int, float],
    names: Mapping[int, str],
    score_map: ScoreMap,
    patient: str = "",
) -> list[dict[str, object]]:
    """The rows of one scan in severity.csv: the reader's score of each region beside the score of the mask.

    Args:
        method: Who made the mask.
        scan: The scan's name.
        given: Region label -> the reader's score.
        fractions: Region label -> lesion fraction of the mask (`region_fractions`); nan has no predicted score.
        names: Region label -> name.
        score_map: Meaning of the scores.
        patient: The scan's patient (`Case.group`); empty: the scan has its own patient.
    """
    rows = []
    for label, score in given.items():
        fraction = fractions[label]
        predicted = score_map.score_of(fraction) if not math.isnan(fraction) else pd.NA
        values = (method, scan, patient or scan, names.get(label, str(label)), score, predicted, fraction)
        rows.append(dict(zip(SCORE_COLUMNS, values, strict=True)))
    return rows


def results_table(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Rows of `result_rows` as a table with `RESULT_COLUMNS`."""
    return pd.DataFrame(list(rows), columns=list(RESULT_COLUMNS)).astype(dict.fromkeys(COUNTS, "int64"))


def scores_table(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Rows of `score_rows` as a table with `SCORE_COLUMNS`."""
    table = pd.DataFrame(list(rows), columns=list(SCORE_COLUMNS))
    return table.astype({"score_given": "Int64", "score_predicted": "Int64", "fraction": "float64"})


def patients_of(table: pd.DataFrame) -> list[str]:
    """The patient of each row; where the table names none, the scan has its own patient.

    Raises:
        ValueError: No column `scan`.
    """
    _require(table, ["scan"])
    if PATIENT not in table:
        return table["scan"].tolist()
    pairs = zip(table[PATIENT].isna(), table[PATIENT], table["scan"], strict=True)
    return [scan if absent else patient for absent, patient, scan in pairs]


def summarise(results: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per method, of the subset `all`.

    * `scans` counts all scans.
    * `iou_mean`, `dice_mean`, `ppv` and `sensitivity` are means over the scans with lesions only, so that empty scans
      neither help nor hurt; ppv leaves out those where nothing is predicted.
    * `specificity` is the mean over all scans: false alarms in scans without lesions count.
    * `iou_pooled` is made of the counts of all scans together, with and without lesions.
    * `kappa` is the linear weighted kappa over all scored regions, with its 95 % bootstrap interval over patients;
      a single patient has no interval.

    Args:
        results: Table with `RESULT_COLUMNS`.
        scores: Table with `SCORE_COLUMNS`; regions without one of the two scores are left out. It may be empty.

    Returns:
        Table with exactly `SUMMARY_COLUMNS`, methods in the order of `results`, then those that have scores alone.

    Raises:
        ValueError: A column is missing or a method has a scan twice.
    """
    _require(scores, SCORE_COLUMNS)
    kappas = _kappas(scores)
    rows = []
    for (method, subset), overlaps in _by_method_and_subset(results).items():
        if subset == "all":
            positives = [counted for counted in overlaps if counted.has_lesions]
            means = [_mean(positives, name) for name in ("dice", "ppv", "sensitivity")]
            means.append(_mean(overlaps, "specificity"))
            ious = (_mean(positives, "iou"), sum(overlaps, Overlap()).iou)
            kappa = kappas.get(method, NO_AGREEMENT)
            rows.append((method, len(overlaps), *ious, *means, kappa.kappa, kappa.low, kappa.high))
    judged = {row[0] for row in rows}
    for method, kappa in kappas.items():
        if method not in judged:  # no scan has a mask to judge by, but scores there are
            scans = len(set(scores.loc[scores["method"] == method, "scan"].tolist()))
            rows.append((method, scans, *[math.nan] * 6, kappa.kappa, kappa.low, kappa.high))
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def summarise_detail(results: pd.DataFrame) -> pd.DataFrame:
    """One row per method, subset and cases (`positives`: scans with lesions of the subset; `all`: every scan).

    Means are over the scans that have the ratio: an empty mask against an empty truth has no IoU and is not averaged
    in as 1; `scans_without_iou` says how many these are. A mark in a scan without lesions is an IoU of 0 among `all`.
    Counts are sums, and the `pooled` ratios are made of them.

    Args:
        results: Table with `RESULT_COLUMNS`.

    Returns:
        Table with exactly `DETAIL_COLUMNS`.

    Raises:
        ValueError: A column is missing or a method has a scan twice.
    """
    rows = []
    for (method, subset), overlaps in _by_method_and_subset(results).items():
        positives = [counted for counted in overlaps if counted.has_lesions]
        for cases, some in (("positives", positives), ("all", overlaps)):
            pooled = sum(some, Overlap())
            without = sum(math.isnan(counted.iou) for counted in some)
            ious = (_mean(some, "iou"), pooled.iou, _mean(some, "dice"), pooled.dice)
            means = [_mean(some, name) for name in ("ppv", "sensitivity", "specificity")]
            rows.append((method, subset, cases, len(some), without, *ious, *means, *asdict(pooled).values()))
    return pd.DataFrame(rows, columns=list(DETAIL_COLUMNS))


def write_tables(folder: Path, results: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Write results.csv, severity.csv, summary_detail.csv and summary.csv into a folder, all or, on a fault, none.

    Raises:
        MachineError: The folder cannot be written.
        ValueError: As in `summarise`.
    """
    tables = {
        "results.csv": results[list(RESULT_COLUMNS)],
        "severity.csv": scores,
        "summary_detail.csv": summarise_detail(results),
        "summary.csv": summarise(results, scores),
    }
    with atomic_files([folder / name for name in tables]) as temporaries:
        for temporary, table in zip(temporaries, tables.values(), strict=True):
            write_csv(table, temporary, "%.6g")


def read_results(path: Path) -> pd.DataFrame:
    """Read a results.csv; names of scans and patients stay text (`007`).

    Raises:
        UserError: The file is missing or is not such a table.
    """
    return _read(path, RESULT_COLUMNS, dict.fromkeys(COUNTS, "int64"), "results")


def read_scores(path: Path) -> pd.DataFrame:
    """Read a severity.csv; names of scans, patients and regions stay text.

    Raises:
        UserError: The file is missing or is not such a table.
    """
    return _read(path, SCORE_COLUMNS, dict.fromkeys(("score_given", "score_predicted"), "Int64"), "scores")


def _read(path: Path, columns: Sequence[str], numbers: dict[str, str], what: str) -> pd.DataFrame:
    """A table with `columns` in their order; an older one gets the column `patient`."""
    try:
        table = read_csv(path)
        _require(table, columns)
        table = table.astype(numbers)
    except (OSError, ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors, and so is bad UTF-8
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read the {what} {path}: {reason}; expected a {path.name} of an evaluation") from error
    return table.assign(**{PATIENT: patients_of(table)}).reindex(columns=list(columns))


def _by_method_and_subset(results: pd.DataFrame) -> dict[tuple[str, str], list[Overlap]]:
    """The counts of every scan, by method and subset in order of appearance."""
    _require(results, RESULT_COLUMNS)
    rows = list(zip(*(results[name].tolist() for name in ("method", "scan", "subset")), strict=True))
    if len(set(rows)) < len(rows):  # by Python: pandas cannot compare names that are not UTF-8
        raise ValueError("results hold a scan of a method twice; expected one row per method, scan and subset")
    found: dict[tuple[str, str], list[Overlap]] = {}
    for row in results.to_dict("records"):
        counts = Overlap(*(int(row[name]) for name in COUNTS))
        found.setdefault((row["method"], row["subset"]), []).append(counts)
    return found


def _mean(overlaps: list[Overlap], ratio: str) -> float:
    """Mean of a ratio over the scans that have it; nan if none has."""
    values = [value for value in (getattr(counted, ratio) for counted in overlaps) if not math.isnan(value)]
    return math.fsum(values) / len(values) if values else math.nan


def _kappas(scores: pd.DataFrame) -> dict[str, Agreement]:
    """Agreement of each method, over the regions that have both scores."""
    pairs: dict[str, list[tuple[str, int, int]]] = {}
    known = scores.assign(**{PATIENT: patients_of(scores)}).dropna(subset=["score_given", "score_predicted"])
    for row in known.to_dict("records"):
        pair = (row[PATIENT], int(row["score_given"]), int(row["score_predicted"]))
        pairs.setdefault(row["method"], []).append(pair)
    found = {}
    for method, of_method in pairs.items():
        groups, given, predicted = zip(*of_method, strict=True)
        found[method] = agreement(given, predicted, groups, sorted({*given, *predicted}))
    return found


def _require(table: pd.DataFrame, columns: Iterable[str]) -> None:
    missing = [name for name in columns if name not in table and name != PATIENT]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {list(table.columns)}")
