"""Tests and effects from numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from weakmask.evaluation.row_comparison import effects, paired, significance
from weakmask.evaluation.significance import bootstrap_interval


def results(ious: dict[tuple[str, int], list[float]]) -> pd.DataFrame:
    """(row, seed) -> IoU of the scans 0, 1, ...; the last scan has no lesions."""
    lines = []
    for (row, seed), values in ious.items():
        for scan, iou in enumerate(values):
            healthy = scan == len(values) - 1
            counts = {"tp": 0, "fn": 0} if healthy else {"tp": 1, "fn": 1}
            lines.append(
                {
                    "row": row,
                    "method": row.upper(),
                    "seed": seed,
                    "scan": str(scan),
                    "subset": "all",
                    "iou": iou,
                    **counts,
                }
            )
    return pd.DataFrame(lines)


def test_seeds_are_averaged_before_scans_are_compared() -> None:
    table = results(
        {
            ("raw", 0): [0.2, 0.4, 0.0],
            ("raw", 1): [0.4, 0.6, 0.0],
            ("regularizer", 0): [0.3, 0.5, 0.0],
            ("regularizer", 1): [0.7, 0.9, 0.0],
            ("regularizer", 2): [1.0, 1.0, 0.0],  # the row below has not got so far
        }
    )
    ours, theirs, scans, seeds = paired(table, "regularizer", "raw", "all")
    assert (scans, seeds) == (2, 2)
    assert ours.tolist() == pytest.approx([0.5, 0.7])
    assert theirs.tolist() == pytest.approx([0.3, 0.5])
    added = effects(table, [("regularizer", "raw")])
    assert added[["row", "method", "below"]].to_numpy().tolist() == [["regularizer", "REGULARIZER", "RAW"]]
    assert added["effect"].tolist() == pytest.approx([0.2])
    assert added[["low", "high"]].to_numpy().tolist()[0] == pytest.approx([0.2, 0.2])


def test_the_correction_counts_all_tests() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0.1, 0.2, 13).tolist()
    table = results(
        {
            ("cam-refine", 0): low,
            ("raw", 0): [value + 0.3 for value in low],
            ("regularizer", 0): [value + 0.3 for value in low],
        }
    )
    asked = [("a", "raw", "cam-refine"), ("a", "regularizer", "cam-refine"), ("b", "regularizer", "raw")]
    tested = significance(table, asked)
    names = tested[["question", "method", "alternative"]].to_numpy().tolist()
    assert names == [[question, row.upper(), other.upper()] for question, row, other in asked]
    assert tested["pairs"].tolist() == [12, 12, 12]
    assert tested["p"].tolist() == pytest.approx([2.0**-11, 2.0**-11, 1.0])
    assert tested["p_corrected"].tolist() == pytest.approx([3 * 2.0**-11, 3 * 2.0**-11, 1.0])
    assert tested["significant"].tolist() == [True, True, False]


def test_rows_without_a_scan_in_common_have_no_result() -> None:
    table = results({("attention", 0): [0.5, 0.0], ("raw", 1): [0.4, 0.0]})
    (tested,) = significance(table, [("a", "attention", "raw")]).to_dict("records")
    assert tested["pairs"] == 0
    assert math.isnan(tested["p_corrected"])
    assert not tested["significant"]
    assert effects(table, [("attention", "raw")]).empty


def test_the_interval_is_that_of_a_mean() -> None:
    differences = np.random.default_rng(1).normal(0.1, 0.2, 400)
    low, high = bootstrap_interval(differences)
    half = 1.96 * differences.std() / math.sqrt(400)
    assert (low, high) == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.1 * half)
    assert all(math.isnan(end) for end in bootstrap_interval(np.zeros(0)))
