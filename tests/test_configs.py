"""Every shipped config is complete, read by the method it names, and what its documentation says it is."""

from pathlib import Path

import pytest
import yaml

from weakmask.config import parse, read_yaml, to_yaml
from weakmask.methods.demo import demo_settings
from weakmask.methods.dram import DramSettings
from weakmask.methods.dram.config import DataSettings

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def keys(values: dict, prefix: str = "") -> set[str]:
    found = set()
    for key, value in values.items():
        found |= keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_read_and_leaves_nothing_to_defaults(path: Path) -> None:
    values = read_yaml(path)
    settings = parse(DramSettings, values, str(path))
    assert keys(values) == keys(yaml.safe_load(to_yaml(settings)))


def test_there_are_configs() -> None:
    assert {path.stem for path in CONFIGS} >= {"dram_ct", "dram_phantom"}


def test_the_ct_config_holds_the_defaults_which_are_the_papers() -> None:
    path = next(path for path in CONFIGS if path.stem == "dram_ct")
    assert parse(DramSettings, read_yaml(path), "x") == DramSettings(data=DataSettings(cohort=Path("cohort")))


def test_the_phantom_config_is_what_the_demo_trains() -> None:
    path = next(path for path in CONFIGS if path.stem == "dram_phantom")
    assert parse(DramSettings, read_yaml(path), "x") == demo_settings(Path("runs/demo-phantoms"), 0)
