"""Every number in the settings of every method has bounds, so that `show` and `train` refuse the same nonsense."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakmask.config import Settings, parse, read_yaml, with_values
from weakmask.errors import UserError
from weakmask.experiments.floors import FloorSettings
from weakmask.methods import METHODS, load_config

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "dram_ct.yaml"
CLASSES: dict[str, type[Settings]] = {**{name: METHODS[name].settings for name in METHODS}, "floor": FloorSettings}
NONSENSE = (float("inf"), float("-inf"), float("nan"), 1e30, -1e30)


def numbers(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every number and every row of numbers."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif (isinstance(value, int | float) and not isinstance(value, bool)) or isinstance(value, list | tuple):
            yield f"{prefix}{key}", value


def default(name: str) -> dict[str, Any]:
    data = {} if name == "lobes" else {"data": {"cohort": "cohort"}}
    return CLASSES[name].model_validate(data).model_dump(mode="json")


@pytest.mark.parametrize("name", CLASSES)
def test_no_number_is_without_bounds(name: str) -> None:
    values = default(name)
    parse(CLASSES[name], values, "x")
    for key, value in numbers(values):
        for bad in NONSENSE:
            row = [bad, *value[1:]] if isinstance(value, list | tuple) else bad
            with pytest.raises(UserError) as caught:
                parse(CLASSES[name], with_values(values, {key: row}), "x")
            assert str(caught.value).startswith("x: "), key
            assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=-1", "seed is -1; expected at least 0"),
        ("prepare.crop_shape=[100000,100000,100000]", "prepare.crop_shape[0] is 100000; expected at most 8192"),
        ("prepare.crop_shape=[4096,4096,4096]", "these are 68,719,476,736 voxels; expected at most 134,217,728"),
        ("network.width=1000000", "network.width is 1000000"),
        ("prepare.spacing_mm=1e-6", "prepare.spacing_mm is "),
        ("prepare.margin_mm=.inf", "prepare.margin_mm is inf; expected a finite number"),
        ("regression.batch=10000000000", "regression.batch is 10000000000"),
        ("regression.learning_rate=.nan", "regression.learning_rate is nan"),
        ("losses.move_scale=[2, 0.5]", "the first must not be above the second"),
        ("losses.frequency_clamp=[0.8, 0.2]", "the first must not be above the second"),
        ("maps.scales=[1000000000.0]", "maps.scales[0] is 1000000000.0"),
        ("context.window_voxels=1000004", "context.window_voxels is 1000004"),
    ],
)
def test_the_command_line_says_which_number(override: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(CONFIG, [override])
    assert words in str(caught.value)


def test_numbers_that_are_good_alone_may_be_too_much_together() -> None:
    together = ["prepare.crop_shape=[512, 512, 512]", "regression.batch=4096", "network.width=1024"]
    for one in together:
        load_config(CONFIG, [one])
    with pytest.raises(
        UserError, match=r"yaml: regression.batch 4096, crops of 512x512x512 voxels and width 1024 take"
    ):
        load_config(CONFIG, together)


def test_unknown_keys_are_named_together_and_quickly() -> None:
    values = {**read_yaml(CONFIG), **{f"key_{number}": 1 for number in range(3000)}}
    with pytest.raises(UserError) as caught:
        parse(METHODS["dram"].settings, values, "my.yaml")
    assert "my.yaml: 3,000 faults: (1) unknown key key_0; " in str(caught.value)
    assert "... (2,990 more)" in str(caught.value)


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers(), max_size=3)
)


@settings(max_examples=100)
@given(data=st.data(), name=st.sampled_from(sorted(CLASSES)), value=VALUES)
def test_any_value_of_any_setting_is_taken_or_refused_in_one_line(
    data: st.DataObject, name: str, value: object
) -> None:
    values = default(name)
    key = data.draw(st.sampled_from([key for key, _ in numbers(values)]))
    try:
        parse(CLASSES[name], with_values(values, {key: value}), "x")
    except UserError as error:
        assert str(error).startswith("x: ")  # noqa: PT017 - either is good
