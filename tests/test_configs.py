"""Every shipped config is complete, read by the method it names, and what its documentation says it is."""

import re
from pathlib import Path

import pytest
import yaml

from weakmask.commands.demo import COMPLETE, demo_settings
from weakmask.config import Settings, differences, parse, read_yaml, to_yaml
from weakmask.errors import UserError
from weakmask.experiments.dram_phantoms import ROWS
from weakmask.experiments.experiment import Row
from weakmask.methods import METHODS
from weakmask.methods.dram import DramSettings

CONFIGS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))}
DEFAULTS = {
    "wsmis": "wsmis_photographs",
    "mitochondria": "mitochondria_paper",
    "v_net": "v_net_promise12",
}  # file with a method's defaults; of the others METHOD_ct
OF_CHESTS = [method for method in METHODS if method not in DEFAULTS]
SAME = ("steps", "batch", "optimiser", "learning_rate", "schedule", "augment", "contrast", "average_decay", "keep")


def settings_class(values: dict) -> type[Settings]:
    return METHODS[values["method"]].settings


def settings_of(name: str) -> Settings:
    values = read_yaml(CONFIGS[name])
    return parse(settings_class(values), values, name)


def keys(values: dict, prefix: str = "") -> set[str]:
    found = set()
    for key, value in values.items():
        found |= keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_read_and_leaves_nothing_to_defaults(name: str) -> None:
    assert keys(read_yaml(CONFIGS[name])) == keys(yaml.safe_load(to_yaml(settings_of(name))))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_says_of_each_setting_what_weakmask_show_says(name: str) -> None:
    shown = [line.partition("  # ")[2] for line in to_yaml(settings_of(name)).splitlines() if "  # " in line]
    text = CONFIGS[name].read_text(encoding="utf-8")
    written = [line.partition("  # ")[2] for line in text.splitlines() if "  # " in line and not line.startswith("#")]
    assert written == shown, "copy the comments that `weakmask show` prints"


@pytest.mark.parametrize(
    ("method", "section", "changes", "words"),
    [
        ("dram", "maps", {"scales": []}, "maps.scales is []"),
        ("dram", "vessels", {"sigmas_mm": []}, "vessels.sigmas_mm is []"),
        ("dram", "prepare", {"window": [300, -1200]}, "the first must be below the second"),
        (
            "dram",
            "regression",
            {"batch": 10, "accumulate": 20},
            "regression.accumulate is 20; a batch of 10 cannot be cut into so many parts",
        ),
        ("dram", "refinement", {"anchor": {"opening_voxels": 4}}, "its side is odd"),
        ("cam", "maps", {"proposal_window": [0, 0]}, "the first must be below the second"),
        ("cam", "classification", {"batch": 2, "accumulate": 3}, "accumulate"),
        ("supervised", "segmentation", {"batch": 2, "accumulate": 3}, "accumulate"),
        ("wsmis", "network", {"backbone": "resnet18"}, "expected a backbone of efficientnet_lite0"),
        ("wsmis", "maps", {"variant": "scorecam"}, "expected a map of cam, gradcam"),
        ("wsmis", "prepare", {"window": [255, 0]}, "the first must be below the second"),
        ("wsmis", "augmentation", {"scales": [1.2, 0.8]}, "the first must not be above the second"),
    ],
)
def test_what_would_fail_hours_later_is_refused_at_once(
    method: str, section: str, changes: dict[str, object], words: str
) -> None:
    values = {"method": method, "data": {"cohort": "cohort"}, section: changes}
    with pytest.raises(UserError) as caught:
        parse(settings_class(values), values, "my.yaml")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


def test_there_are_configs() -> None:
    assert CONFIGS.keys() >= {f"{method}_{data}" for method in OF_CHESTS for data in ("ct", "phantom")}
    assert CONFIGS.keys() >= {DEFAULTS.get(method, f"{method}_ct") for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_a_config_holds_the_defaults(method: str) -> None:
    settings = settings_of(DEFAULTS.get(method, f"{method}_ct"))
    assert settings == type(settings).model_validate({"data": {"cohort": "cohort"}})


@pytest.mark.parametrize(
    ("method", "row"), [("dram", COMPLETE), ("cam", ROWS["cam-refine"]), ("supervised", ROWS["supervised"])]
)
def test_a_phantom_config_is_a_row_of_the_quick_table_on_the_phantoms_of_the_demo(method: str, row: Row) -> None:
    assert settings_of(f"{method}_phantom") == demo_settings(row, Path("runs/demo-phantoms"), 0)


@pytest.mark.parametrize(("method", "training"), [("cam", "classification"), ("supervised", "segmentation")])
@pytest.mark.parametrize("data", ["ct", "phantom"])
def test_baselines_are_trained_as_dram_is(method: str, training: str, data: str) -> None:
    ours, drams = settings_of(f"{method}_{data}"), settings_of(f"dram_{data}")
    assert isinstance(drams, DramSettings)
    for section in ("data", "prepare"):
        assert getattr(ours, section) == getattr(drams, section)
    assert ours.network.width == drams.network.width  # pyright: ignore[reportAttributeAccessIssue]
    trained = getattr(ours, training)
    if (method, data) == (
        "supervised",
        "phantom",
    ):  # the bound has no fewer steps than the two networks of dRAM together
        assert trained.steps >= drams.regression.steps + drams.context.steps
        trained = trained.model_copy(update={"steps": drams.regression.steps})
    for field in SAME:
        assert getattr(trained, field) == getattr(drams.regression, field), field


def test_the_paper_s_config_leaves_out_the_choices_of_others() -> None:
    """It differs from the defaults only in fields whose description says that the default is not the paper's."""
    paper, default = settings_of("dram_paper"), settings_of("dram_ct")
    changed = [line.split(" ")[0] for line in differences(default, paper)]
    assert len(changed) == 9
    for name in changed:
        section, field = name.split(".")
        description = type(getattr(paper, section)).model_fields[field].description or ""
        assert re.search(r"\b[CO]\b[^(]*\)", description), f"{name}: the default is the paper's already"
