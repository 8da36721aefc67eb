"""YAML <-> settings: complete, commented, and unkind to unknown keys."""

from pathlib import Path

import pytest
import yaml
from pydantic import Field

from weakmask.config import Settings, differences, parse, read_yaml, to_yaml, with_overrides
from weakmask.errors import UserError


class Inner(Settings):
    steps: int = Field(default=3, ge=1, description="how long")
    name: str | None = Field(default=None, description="what")


class Outer(Settings):
    seed: int = 0
    training: Inner = Inner()


def test_a_written_config_reads_back_and_every_key_is_there() -> None:
    settings = Outer(seed=4, training=Inner(steps=7, name="a: b # c"))
    text = to_yaml(settings)
    assert parse(Outer, yaml.safe_load(text), "x") == settings
    assert "# how long" in text
    assert "seed: 4" in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"training": {"step": 3}}, ["training.step", "did you mean steps?"]),
        ({"trainning": {}}, ["trainning", "did you mean training?"]),
        ({"zzz": 1}, ["zzz", "valid keys here: seed, training"]),
        ({"training": {"steps": "two"}}, ["training.steps is 'two'", "a whole number"]),
        ({"training": {"steps": 0}}, ["training.steps is 0", "at least 1"]),
    ],
)
def test_a_wrong_key_or_value_is_one_line_with_the_remedy(values: dict, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse(Outer, values, "my.yaml")
    line = str(caught.value)
    assert line.startswith("my.yaml: ")
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_overrides_are_typed_by_yaml_and_do_not_touch_the_original() -> None:
    values = {"training": {"steps": 3}}
    changed = with_overrides(values, ["training.steps=9", "training.name=null", "seed=2"])
    assert changed == {"training": {"steps": 9, "name": None}, "seed": 2}
    assert values == {"training": {"steps": 3}}


@pytest.mark.parametrize("override", ["steps", "=3", "seed.x=1", "seed=[1, 2"])
def test_an_override_that_means_nothing_is_refused(override: str) -> None:
    with pytest.raises(UserError, match="--set"):
        with_overrides({"seed": 1}, [override])


def test_differences_name_the_fields_with_both_values() -> None:
    assert differences(Outer(), Outer(seed=1, training=Inner(steps=4))) == [
        "seed (0 there, 1 here)",
        "training.steps (3 there, 4 here)",
    ]


@pytest.mark.parametrize(("content", "words"), [("a: [", "not valid YAML"), ("- 1", "expected a mapping")])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=words):
        read_yaml(path)
    with pytest.raises(UserError, match="no such config"):
        read_yaml(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="cannot be read as a text file"):
        read_yaml(tmp_path / "binary.yaml")
