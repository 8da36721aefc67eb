"""The table of methods: titles, the best of each column, kappa with its interval."""

import numpy as np
import pandas as pd

from weakmask.report.summary_table import summary_table

COLUMNS = [
    *("method", "scans", "iou_mean", "iou_pooled", "dice_mean", "ppv", "sensitivity", "specificity"),
    *("kappa", "kappa_low", "kappa_high"),
]
CAM = ("CAM", 24, 0.336, 0.35, 0.47, 0.9, 0.5, 0.98, 0.39, 0.30, 0.48)
DRAM = ("dRAM", 24, 0.495, 0.51, 0.64, 0.7, 0.5, 0.99, 0.46, -0.02, 0.55)


def test_the_best_of_each_column_is_marked():
    table = summary_table(pd.DataFrame([CAM, DRAM], columns=COLUMNS))
    best = [[cell.best for cell in row] for row in table.rows]
    assert best == [
        [False, False, False, False, False, True, True, False, False],
        [False, False, True, True, True, False, True, True, True],
    ]
    assert table.any_best
    assert [head.text for head in table.heads][:3] == ["Method", "Scans", "IoU, mean"]
    assert not table.heads[0].number


def test_kappa_carries_its_interval():
    table = summary_table(pd.DataFrame([CAM, DRAM], columns=COLUMNS))
    assert len(table.heads) == 9
    kappa = table.rows[1][-1]
    assert kappa.text == "0.46 (\N{MINUS SIGN}0.02 to 0.55)"
    assert kappa.interval == (0.0, 46.0, 55.0)


def test_nothing_is_best_alone_or_missing():
    table = summary_table(pd.DataFrame([DRAM], columns=COLUMNS))
    assert not table.any_best
    missing = pd.DataFrame([CAM, DRAM], columns=COLUMNS).assign(ppv=[np.nan, 0.7], kappa=[np.nan, 0.4])
    table = summary_table(missing)
    assert table.rows[0][5].text == "\N{EN DASH}"
    assert not table.rows[1][5].best
    assert table.rows[0][8].text == "\N{EN DASH}"
    assert table.rows[0][8].interval is None


def test_other_columns_follow_as_they_are():
    table = summary_table(pd.DataFrame({"method": ["a", "b"], "p_value": [0.0004, 0.25], "note": ["x", None]}))
    assert [head.text for head in table.heads] == ["Method", "p value", "note"]
    assert [cell.text for cell in table.rows[0]] == ["a", "0.0004", "x"]
    assert [cell.text for cell in table.rows[1]] == ["b", "0.250", "\N{EN DASH}"]
    assert not table.any_best


def test_kappa_without_an_interval():
    table = summary_table(pd.DataFrame({"method": ["a"], "kappa": [0.4]}))
    assert table.rows[0][1].text == "0.40"


def test_a_method_that_marks_nothing_is_never_the_best():
    nothing = ("nothing", 24, 0.0, 0.0, 0.0, np.nan, 0.0, 1.0, 0.0, np.nan, np.nan)
    worse = ("worse", 24, 0.1, 0.1, 0.2, 0.2, 0.3, 0.4, -0.2, -0.3, 0.1)
    table = summary_table(pd.DataFrame([worse, nothing], columns=COLUMNS))
    assert [cell.best for cell in table.rows[1]] == [False] * 9
    assert [cell.best for cell in table.rows[0]][2:] == [True, True, True, False, True, True, False]
    assert table.rows[1][-1].text == "0.00"
