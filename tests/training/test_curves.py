"""Rows of mean losses, and losses that are not finite."""

import json
import math
from pathlib import Path

import pytest
import torch

from weakmask.errors import UserError
from weakmask.training.curves import Curves


def add(curves: Curves, step: int, total: float) -> None:
    curves.add(step, {"total": torch.tensor(total), "part": torch.tensor(total / 2)})


def test_a_row_is_the_mean_since_the_row_before():
    curves = Curves()
    for step, total in enumerate((1.0, 2.0, 6.0)):
        add(curves, step, total)
    assert curves.close(3, 0.1, {"score": 0.5}) == {
        "step": 3, "learning_rate": 0.1, "total": 3.0, "part": 1.5, "score": 0.5,
    }  # fmt: skip
    add(curves, 3, 4.0)
    assert curves.close(4, 0.1, {})["total"] == 4.0
    assert curves.table()["step"].tolist() == [3, 4]


def test_losses_are_read_one_step_late():
    curves = Curves()
    add(curves, 0, 3.0)
    assert math.isnan(curves.loss)
    add(curves, 1, 5.0)
    assert curves.loss == 3.0


def test_state_goes_through_json_in_the_middle_of_a_row():
    whole, first, second = Curves(), Curves(), Curves()
    for step in range(7):
        add(whole, step, 0.1 * step)
        add(first if step < 4 else second, step, 0.1 * step)
        if step == 3:
            second.restore(json.loads(json.dumps(first.state())))
    assert second.close(7, 0.1, {}) == whole.close(7, 0.1, {})


def test_every_digit_is_written(tmp_path: Path):
    curves = Curves()
    add(curves, 0, 1 / 3)
    curves.close(1, 1e-4 / 7, {"dice": 2 / 3})
    curves.write(tmp_path / "curves.csv")
    names, values = (text.split(",") for text in (tmp_path / "curves.csv").read_text().splitlines())
    assert dict(zip(names, map(float, values), strict=True)) == curves.rows[0]


def test_no_rows_no_trouble(tmp_path: Path):
    Curves().write(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_text().strip() == "step"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_names_its_step(value: float):
    curves = Curves()
    add(curves, 4, value)
    with pytest.raises(UserError, match="step 4: a loss is not finite"):
        add(curves, 5, 1.0)
