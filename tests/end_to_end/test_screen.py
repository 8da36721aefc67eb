"""What the console shows of a summary."""

import math

import pandas as pd
import pytest

from weakmask.screen import print_summary


def test_columns_without_any_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(pd.DataFrame({"method": ["ours", "Otsu"], "iou_mean": math.nan, "ppv": [math.nan, 0.25]}))
    shown = capsys.readouterr().out
    assert "iou_mean" not in shown
    assert "0.250" in shown
    assert "ppv" in shown
