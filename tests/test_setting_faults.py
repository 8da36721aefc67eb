"""Faults of a config are told all at once, in words that a user knows."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from weakmask.config import Settings, parse
from weakmask.errors import UserError


class Crops(Settings):
    shape: tuple[int, int, int] = (32, 32, 32)
    sizes: tuple[float, ...] = (0.8, 1.0)
    window: tuple[float, float] = (0.0, 1.0)


class Training(Settings):
    steps: Annotated[int, Field(ge=1)] = 3
    rate: Annotated[float, Field(gt=0)] = 0.1
    augment: bool = True
    optimiser: Literal["adam", "sgd"] = "adam"
    threshold: Annotated[float, Field(le=1)] | Literal["scores"] = 0.5


class Move(Settings):
    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _rising(self) -> "Move":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Data(Settings):
    cohort: str = Field(description="folder of the cohort")


class Whole(Settings):
    data: Data = Data(cohort="one")
    crops: Crops = Crops()
    training: Training = Training()
    move: Move = Move()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"crops": {"shape": "32,32,32"}}, "crops.shape is '32,32,32'; expected a list of 3, such as [32, 32, 32]"),
        ({"crops": {"shape": [32, 32]}}, "crops.shape[2] is nothing; expected a list of 3, such as [32, 32, 32]"),
        ({"crops": {"shape": [1, "a", 3]}}, "crops.shape[1] is 'a'; expected a whole number"),
        ({"crops": {"sizes": 1.0}}, "crops.sizes is 1.0; expected a list, such as [0.8, 1.0]"),
        ({"training": {"steps": "1e3"}}, "training.steps is '1e3'; expected a whole number"),
        ({"training": {"steps": 2.5}}, "training.steps is 2.5; expected a whole number"),
        ({"training": {"steps": 0}}, "training.steps is 0; expected at least 1"),
        ({"training": {"rate": "fast"}}, "training.rate is 'fast'; expected a number"),
        ({"training": {"rate": 0}}, "training.rate is 0; expected more than 0"),
        ({"training": {"augment": "perhaps"}}, "training.augment is 'perhaps'; expected true or false"),
        ({"training": {"optimiser": "adamw"}}, "training.optimiser is 'adamw'; expected 'adam' or 'sgd'"),
        ({"training": {"threshold": "x"}}, "training.threshold is 'x'; expected a number or expected 'scores'"),
        ({"training": 3}, "training is 3; expected a section of keys"),
        ({"data": {}}, "data.cohort is nothing; expected folder of the cohort"),
        ({"move": {"low": 2}}, "move: low is above high"),
        ({"training": {"stepz": 1}}, "unknown key training.stepz; did you mean steps?"),
    ],
)
def test_a_fault_says_what_came_and_what_was_expected(values: dict, line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(Whole, values, "my.yaml")
    assert str(caught.value) == f"my.yaml: {line}"


def test_a_fault_of_the_whole_has_no_key() -> None:
    with pytest.raises(UserError, match=r"^my\.yaml: low is above high$"):
        parse(Move, {"low": 2}, "my.yaml")


def test_all_faults_are_told_at_once() -> None:
    values = {"crops": {"shape": "a"}, "training": {"optimizer": "sgd", "lr": 1, "steps": "x" * 1000}}
    with pytest.raises(UserError) as caught:
        parse(Whole, values, "my.yaml")
    line = str(caught.value)
    assert line.startswith("my.yaml: 4 faults: (1) crops.shape is 'a';")
    for part in (
        "unknown key training.optimizer; did you mean optimiser?",
        "unknown key training.lr;",
        "training.steps",
    ):
        assert part in line
    assert "\n" not in line
    assert len(line) < 500
