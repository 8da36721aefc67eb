"""Training curves from whatever table there is."""

import base64
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from weakmask.report.curves import MOST_POINTS, draw_curves, gather_curves

STEPS = np.arange(10)


def drawn(panels) -> ET.Element:
    head, _, content = draw_curves(panels).partition(",")
    assert head == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(content))


def test_a_wide_table_has_a_panel_for_each_quantity():
    table = pd.DataFrame({"step": STEPS, "total": STEPS * 1.0, "score": np.where(STEPS % 5 == 0, 0.5, np.nan)})
    panels = gather_curves(table)
    assert list(panels) == ["total", "score"]
    steps, values = panels["score"][""]
    assert steps.tolist() == [0, 5]
    assert values.tolist() == [0.5, 0.5]


def test_training_and_validation_share_a_panel():
    by_name = pd.DataFrame({"step": STEPS, "train_loss": 1.0, "loss/val": 2.0, "learning_rate": 0.1})
    by_column = pd.DataFrame({"step": [0, 1, 0], "split": ["train", "train", "validation"], "loss": [1.0, 1.0, 2.0]})
    for table in (by_name, by_column):
        panels = gather_curves(table)
        assert {name: values.max() for name, (_, values) in panels["loss"].items()} == {"training": 1, "validation": 2}
    assert list(gather_curves(by_name)) == ["loss", "learning_rate"]


def test_a_long_table_with_names_and_stages():
    table = pd.DataFrame(
        {
            "stage": ["regression", "regression", "context"],
            "step": [1, 2, 1],
            "name": ["loss", "loss", "loss"],
            "value": [3.0, 2.0, 1.0],
        }
    )
    panels = gather_curves(table)
    assert list(panels) == ["regression, loss", "context, loss"]
    assert panels["regression, loss"][""][1].tolist() == [3.0, 2.0]


def test_a_table_without_steps_counts_rows():
    assert gather_curves(pd.DataFrame({"loss": [3.0, 1.0]}))["loss"][""][0].tolist() == [0, 1]


@pytest.mark.parametrize("column", [[np.nan, np.nan], [np.inf, np.nan]])
def test_a_column_without_numbers_is_no_panel(column):
    assert gather_curves(pd.DataFrame({"step": [0, 1], "score": column})) == {}


def test_long_lines_are_thinned_and_the_picture_is_the_same_twice():
    steps = np.arange(20000.0)
    panels = {"total": {"training": (steps, 1 + np.exp(-steps / 3000)), "validation": (steps[::500], steps[::500])}}
    picture = draw_curves(panels)
    assert len(picture) < 150_000
    assert picture == draw_curves(panels)
    assert MOST_POINTS < 20000


def test_every_panel_is_drawn():
    panels = {f"loss {i}": {"": (STEPS, STEPS * 0.1 + 1e-3)} for i in range(5)}
    svg = drawn(panels)
    axes = [element for element in svg.iter() if element.get("id", "").startswith("axes_")]
    assert len(axes) >= 5
    assert float(svg.get("width", "0").removesuffix("pt")) > float(svg.get("height", "0").removesuffix("pt"))


def test_constant_and_single_values_are_drawn():
    assert (
        drawn({"loss": {"": (np.array([0.0]), np.array([0.0]))}, "rate": {"": (STEPS, np.full(10, 0.1))}}) is not None
    )
