"""Scores per region: what is compared, what is summed, what is left out."""

import pandas as pd

from weakmask.report.score_columns import score_table

MINUS = "\N{MINUS SIGN}"


def test_predicted_against_given():
    scores = {"region": ["LUL", "LLL"], "fraction": [0.034, 0.4], "predicted": [1, 3], "given": [3, 2]}
    table = score_table(pd.DataFrame(scores))
    assert [(row.predicted, row.given, row.difference, row.off_by) for row in table.rows] == [
        ("1", "3", f"{MINUS}2", 2),
        ("3", "2", "+1", 1),
    ]
    assert [(row.fraction, row.percent) for row in table.rows] == [("3.4 %", 3.4), ("40 %", 40.0)]
    assert table.total is not None
    assert (table.total.predicted, table.total.given, table.total.difference) == ("4", "5", f"{MINUS}1")
    assert table.compared


def test_a_sum_with_a_score_missing_is_not_shown():
    table = score_table(pd.DataFrame({"region": ["a", "b"], "predicted": [1, 2], "given": [1, None]}))
    assert table.rows[1].given == ""
    assert table.rows[1].difference == ""
    assert table.total is not None
    assert (table.total.predicted, table.total.given, table.total.difference) == ("3", "", "")


def test_columns_that_are_not_there():
    table = score_table(pd.DataFrame({"region": [1], "fraction": [0.0]}))
    assert (table.has_fraction, table.has_predicted, table.has_given) == (True, False, False)
    assert table.total is None
    assert not table.compared
    assert table.rows[0].region == "1"
    assert table.rows[0].fraction == "0 %"


def test_sets_of_scores_are_shown_where_there_are_some():
    table = score_table(pd.DataFrame({"region": ["a", "b"], "predicted": [1, 2], "set": ["0 to 1", None]}))
    assert table.has_set
    assert [row.score_set for row in table.rows] == ["0 to 1", ""]
    assert table.total is not None
    assert table.total.score_set == ""
    assert not score_table(pd.DataFrame({"region": ["a"], "predicted": [1]})).has_set
