"""The lobe model that comes with the package: there, small, with a card, and right on a chest it never saw."""

from pathlib import Path

import pytest
import torch

from weakmask.experiments.lobe_networks import PRESETS
from weakmask.methods import load_config
from weakmask.methods.lobes import LobeSettings
from weakmask.methods.lobes.evaluate_run import lobe_dice
from weakmask.methods.lobes.scans import phantom_scan
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import SHIPPED, LobeModel, load_lobe_model
from weakmask.regions.make_regions import LOBES, make_regions

PROJECT = Path(__file__).parents[2]
UNSEEN = 77_004


@pytest.fixture(scope="module")
def model() -> LobeModel:
    return load_lobe_model(None, torch.device("cpu"))


def test_it_is_small_and_has_a_card() -> None:
    assert isinstance(SHIPPED, Path)
    assert SHIPPED.stat().st_size < 4 * 2**20
    card = SHIPPED.with_name("README.md").read_text(encoding="utf-8")
    for said in ("phantoms", "weakmask train configs/lobes_phantom.yaml", "Not for clinical use"):
        assert said in card


def test_it_is_what_the_config_trains_and_the_table_judges(model: LobeModel) -> None:
    _, config = load_config(PROJECT / "configs" / "lobes_phantom.yaml")
    assert LobeSettings(**model.header["config"]) == config == PRESETS["quick"].settings["pdv"]


@pytest.mark.parametrize("ill", [False, True])
def test_it_finds_the_lobes_of_a_phantom_it_never_saw(model: LobeModel, ill: bool) -> None:
    image, lobes = phantom_scan(UNSEEN, (100, 87, 100), (3.0, 3.0, 3.0), ill=ill)
    found = find_lobes(model, image)
    assert found.faults == ()
    assert lobe_dice(found.lobes, lobes)["mean"] > 0.88


def test_a_plain_scan_needs_nothing_else() -> None:
    image, _ = phantom_scan(UNSEEN, (75, 65, 75), (4.0, 4.0, 4.0))
    made = make_regions(image, list(LOBES), device="cpu")
    assert made.numbering == LOBES
    assert made.note == "lobes by the lobe network that comes with weakmask"
