"""Runs that an earlier version has judged are tabulated like new ones."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from weakmask.evaluation.table import result_rows, results_table
from weakmask.methods.by_region.judging import overlaps_of
from weakmask.methods.reproduce.table2_gather import with_clear_scans

MASK = np.array([1, 1, 1, 0], np.uint8)
TRUTHS = {"clear": np.zeros(4, np.uint8), "ill": np.array([2, 1, 0, 3], np.uint8), "well": np.zeros(4, np.uint8)}


@pytest.fixture
def results() -> pd.DataFrame:
    rows = [result_rows("m", scan, overlaps_of(MASK, truth, None)) for scan, truth in TRUTHS.items()]
    return results_table(row for of_scan in rows for row in of_scan)


def test_subtypes_of_scans_without_lesions_are_added_where_they_are_missing(results: pd.DataFrame) -> None:
    earlier: Any = results[(results["scan"] == "ill") | (results["subset"] == "all")]
    assert len(earlier) == 6
    pd.testing.assert_frame_equal(with_clear_scans(earlier), results)
    pd.testing.assert_frame_equal(with_clear_scans(results), results)


def test_a_truth_without_subtypes_is_given_none(results: pd.DataFrame) -> None:
    alike: Any = results[results["subset"] == "all"].reset_index(drop=True)
    pd.testing.assert_frame_equal(with_clear_scans(alike), alike)
