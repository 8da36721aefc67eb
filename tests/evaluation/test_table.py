"""The tables of a run: a hand-made evaluation, the rule for empty scans, and the files."""

import math
from pathlib import Path

import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.evaluation.overlap import SUBSETS, Overlap
from weakmask.evaluation.table import (
    DETAIL_COLUMNS,
    RESULT_COLUMNS,
    SCORE_COLUMNS,
    SUMMARY_COLUMNS,
    read_results,
    read_scores,
    result_rows,
    results_table,
    score_rows,
    scores_table,
    summarise,
    summarise_detail,
    write_tables,
)
from weakmask.scoring.severity import CT_SEVERITY

# method a: one good scan, one poor one, a clean scan left alone, a clean scan with a false mark
SCANS = {
    "001": Overlap(8, 2, 0, 10),
    "002": Overlap(1, 1, 8, 10),
    "003": Overlap(0, 0, 0, 20),
    "004": Overlap(0, 5, 0, 15),
}


@pytest.fixture
def results() -> pd.DataFrame:
    rows = [row for scan, counted in SCANS.items() for row in result_rows("a", scan, {"all": counted})]
    rows += [row for scan in SCANS for row in result_rows("nothing", scan, dict.fromkeys(SUBSETS, Overlap(0, 0, 3, 9)))]
    return results_table(rows)


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = []
    fractions = [0.0, 0.02, 0.1, 0.3]
    for index, scan in enumerate(SCANS):
        found = {1: fractions[index], 2: fractions[3 - index]}
        rows += score_rows("a", scan, {1: index, 2: 3 - index}, found, {1: "left", 2: "right"}, CT_SEVERITY)
        rows += score_rows("nothing", scan, {1: 1, 2: 2}, {1: 0.0, 2: math.nan}, {1: "left"}, CT_SEVERITY)
    return scores_table(rows)


def test_rows_of_a_scan(results: pd.DataFrame) -> None:
    assert tuple(results.columns) == RESULT_COLUMNS
    first = results.iloc[0]
    assert (first["method"], first["scan"], first["subset"]) == ("a", "001", "all")
    assert (first["tp"], first["fp"], first["fn"], first["tn"]) == (8, 2, 0, 10)
    assert first["iou"] == pytest.approx(0.8)
    assert first["specificity"] == pytest.approx(10 / 12)
    assert list(results[results["method"] == "nothing"]["subset"])[:4] == list(SUBSETS)


def test_score_rows_lay_the_reader_beside_the_mask(scores: pd.DataFrame) -> None:
    assert tuple(scores.columns) == SCORE_COLUMNS
    first = scores.iloc[0]
    assert (first["region"], first["score_given"], first["score_predicted"], first["fraction"]) == ("left", 0, 0, 0.0)
    nameless = scores[scores["method"] == "nothing"].iloc[1]
    assert nameless["region"] == "2"
    assert nameless["score_predicted"] is pd.NA


def test_summary_by_hand(results: pd.DataFrame, scores: pd.DataFrame) -> None:
    summary = summarise(results, scores)
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert list(summary["method"]) == ["a", "nothing"]
    row = summary.iloc[0]
    assert row["scans"] == 4
    assert row["iou_mean"] == pytest.approx((0.8 + 0.1) / 2)
    assert row["dice_mean"] == pytest.approx((16 / 18 + 2 / 11) / 2)
    assert row["ppv"] == pytest.approx((0.8 + 0.5) / 2)
    assert row["sensitivity"] == pytest.approx((1 + 1 / 9) / 2)
    assert row["specificity"] == pytest.approx((10 / 12 + 10 / 11 + 1 + 15 / 20) / 4)
    assert row["iou_pooled"] == pytest.approx(9 / 25)
    assert (row["kappa"], row["kappa_low"], row["kappa_high"]) == (1, 1, 1)


def test_false_alarms_in_a_healthy_scan_lower_the_specificity() -> None:
    scans = {"ill": Overlap(5, 0, 0, 15), "healthy": Overlap(0, 12, 0, 8)}
    rows = [row for scan, counted in scans.items() for row in result_rows("a", scan, {"all": counted})]
    summary = summarise(results_table(rows), scores_table([])).iloc[0]
    assert summary["specificity"] == pytest.approx((1.0 + 0.4) / 2)
    assert summary["iou_mean"] == 1.0  # over scans with lesions


def test_a_method_that_marks_nothing_has_no_ppv_and_no_kappa_above_chance(
    results: pd.DataFrame, scores: pd.DataFrame
) -> None:
    row = summarise(results, scores).iloc[1]
    assert math.isnan(row["ppv"])
    assert (row["iou_mean"], row["sensitivity"], row["specificity"]) == (0, 0, 1)
    assert row["kappa"] == 0  # always 1 against always 0: as good as chance


def test_detail_reports_positives_and_all(results: pd.DataFrame) -> None:
    detail = summarise_detail(results)
    assert tuple(detail.columns) == DETAIL_COLUMNS
    assert len(detail) == 2 + 2 * len(SUBSETS)
    positives, every = detail.iloc[0], detail.iloc[1]
    assert (positives["cases"], every["cases"]) == ("positives", "all")
    assert (positives["scans"], every["scans"]) == (2, 4)
    assert (positives["scans_without_iou"], every["scans_without_iou"]) == (0, 1)
    assert positives["iou_mean"] == pytest.approx(0.45)
    assert every["iou_mean"] == pytest.approx((0.8 + 0.1 + 0) / 3)  # the clean scan left alone is not a 1
    assert positives["iou_pooled"] == pytest.approx(9 / 20)
    assert every["dice_pooled"] == pytest.approx(18 / 34)
    assert every["specificity"] == pytest.approx((10 / 12 + 10 / 11 + 1 + 15 / 20) / 4)
    assert (every["tp"], every["fp"], every["fn"], every["tn"]) == (9, 8, 8, 55)


def test_without_scores_or_positives_the_numbers_are_nan() -> None:
    results = results_table(result_rows("a", "1", {"all": Overlap(0, 0, 0, 5)}))
    row = summarise(results, scores_table([])).iloc[0]
    assert all(math.isnan(row[name]) for name in SUMMARY_COLUMNS[2:] if name != "specificity")
    assert (row["scans"], row["specificity"]) == (1, 1)


def test_scores_without_any_truth_still_agree_or_not(results: pd.DataFrame, scores: pd.DataFrame) -> None:
    summary = summarise(results.iloc[:0], scores)
    assert summary["method"].tolist() == scores["method"].drop_duplicates().tolist()
    with_truth = summarise(results, scores).set_index("method")
    for row in summary.to_dict("records"):
        assert math.isnan(row["iou_mean"])
        assert math.isnan(row["dice_mean"])
        assert row["kappa"] == with_truth.loc[row["method"], "kappa"]
        assert row["scans"] == scores.query("method == @row['method']")["scan"].nunique()


def test_an_evaluation_of_nothing_is_an_empty_table() -> None:
    assert summarise(results_table([]), scores_table([])).empty
    assert tuple(summarise_detail(results_table([])).columns) == DETAIL_COLUMNS


def test_an_older_table_without_patients_reads_as_one_patient_per_scan(
    tmp_path: Path, results: pd.DataFrame, scores: pd.DataFrame
) -> None:
    for name, table, read in (("results.csv", results, read_results), ("severity.csv", scores, read_scores)):
        table.drop(columns="patient").to_csv(tmp_path / name, index=False)
        back = read(tmp_path / name)
        assert list(back.columns) == list(table.columns)
        assert back["patient"].tolist() == table["scan"].tolist()
    older = summarise(results.drop(columns="patient"), scores.drop(columns="patient"))
    pd.testing.assert_frame_equal(older, summarise(results, scores))


def test_the_scans_of_one_patient_have_no_interval(results: pd.DataFrame, scores: pd.DataFrame) -> None:
    row = summarise(results, scores.assign(patient="one")).iloc[0]
    assert row["kappa"] == 1
    assert math.isnan(row["kappa_low"])
    assert math.isnan(row["kappa_high"])


def test_a_scan_that_stands_there_twice_is_refused(results: pd.DataFrame, scores: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="twice"):
        summarise(pd.concat([results, results]), scores)
    with pytest.raises(ValueError, match="no column 'tn'"):
        summarise(results.drop(columns="tn"), scores)
    with pytest.raises(ValueError, match="no column 'score_given'"):
        summarise(results, scores.drop(columns="score_given"))


def test_the_files(tmp_path: Path, results: pd.DataFrame, scores: pd.DataFrame) -> None:
    write_tables(tmp_path, results, scores)
    names = ["results.csv", "severity.csv", "summary.csv", "summary_detail.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    header = (tmp_path / "summary.csv").read_text().splitlines()[0]
    assert header == "method,scans,iou_mean,iou_pooled,dice_mean,ppv,sensitivity,specificity,kappa,kappa_low,kappa_high"
    back = read_results(tmp_path / "results.csv")
    pd.testing.assert_frame_equal(back, results, rtol=1e-5, check_dtype=False)
    assert back["scan"].iloc[0] == back["patient"].iloc[0] == "001"
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "summary.csv"), summarise(back, scores), rtol=1e-5, check_dtype=False
    )


@pytest.mark.parametrize("content", [b"", b"method,scan\na,1\n", b"\xff\xfe\x00\x01", b'"'])
def test_what_is_no_results_file_is_one_clean_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "results.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read the results .*expected a results\.csv") as caught:
        read_results(tmp_path / "results.csv")
    assert "\n" not in str(caught.value)


def test_a_missing_results_file_is_one_clean_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the results"):
        read_results(tmp_path / "results.csv")
