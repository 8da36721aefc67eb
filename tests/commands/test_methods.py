"""`weakmask methods` lists every method with config files that exist and train it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.commands.methods import describe_methods, shipped_configs
from weakmask.config import read_yaml
from weakmask.methods import METHODS

CONFIGS = Path(__file__).parents[2] / "configs"


def test_every_shipped_config_is_listed_with_the_method_that_it_trains() -> None:
    listed = {path: name for name in METHODS for path in shipped_configs(name)}
    assert set(listed) == set(CONFIGS.glob("*.yaml"))
    assert all(read_yaml(path)["method"] == name for path, name in listed.items())


def test_configs_are_named_from_the_folder_one_works_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    assert "configs/dram_ct.yaml" in describe_methods()["dram"]["configs"]
    monkeypatch.chdir(tmp_path)
    assert str(CONFIGS / "dram_ct.yaml") in describe_methods()["dram"]["configs"]


def test_the_verb_prints_them_as_a_table_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    assert "configs/cam_ct.yaml" in CliRunner().invoke(app, ["methods"]).output
    printed = json.loads(CliRunner().invoke(app, ["methods", "--json"]).output)
    assert printed == describe_methods()
