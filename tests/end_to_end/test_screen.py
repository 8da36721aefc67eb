"""What the console shows of a summary."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from weakmask.screen import counted, print_good, print_summary


def test_columns_without_any_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(pd.DataFrame({"method": ["ours", "Otsu"], "iou_mean": math.nan, "ppv": [math.nan, 0.25]}))
    shown = capsys.readouterr().out
    assert "iou_mean" not in shown
    assert "0.250" in shown
    assert "ppv" in shown


def test_one_is_not_many(capsys: pytest.CaptureFixture[str]) -> None:
    print_good([SimpleNamespace(scores={1: 2}, presence={})])
    print_good(
        [
            SimpleNamespace(scores={1: 2, 2: 0}, presence={None: {"cat": True, "dog": False}}),
            SimpleNamespace(scores={1: 0}, presence={}),
        ]
    )
    assert (
        capsys.readouterr().out
        == "1 scan with 1 scored region: good\n2 scans with 3 scored regions and 2 labels: good\n"
    )
    assert counted(0, "scan") == "0 scans"


def test_no_number_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(pd.DataFrame({"method": ["ours", "Otsu"], "ppv": [math.nan, 0.25]}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ours", "-"] in lines
    assert ["Otsu", "0.250"] in lines
