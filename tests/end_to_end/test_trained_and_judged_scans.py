"""Which scans a run is trained on, validated on and judged on, by name, for every method that learns from regions."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from weakmask.config import Settings, parse
from weakmask.methods import METHODS, train
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import run_stages
from weakmask.volume.files import scan_name

TRAINING = {"dram": "regression", "cam": "classification", "supervised": "segmentation"}
EVERY = {f"phantom_3_{number:04d}" for number in range(8)}
UNSEEN = {f"phantom_90_{number:04d}" for number in range(2)}
HELD_OUT = {"phantom_3_0001", "phantom_3_0006"}  # as `hold_out` draws two of eight with seed 0


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged") / "cohort"
    write_phantom_cohort(folder, len(EVERY), 3, (40, 44, 48), (8.0, 8.0, 8.0), workers=1)
    write_phantom_cohort(folder.with_name("unseen"), len(UNSEEN), 90, (40, 44, 48), (8.0, 8.0, 8.0), workers=1)
    return folder


def settings(method: str, cohort: Path, **data: object) -> Settings:
    values: dict[str, Any] = {
        "method": method,
        "device": "cpu",
        "data": {"cohort": str(cohort), "validation": 0.25, **data},
        "prepare": {"spacing_mm": None, "crop_shape": [16, 16, 16]},
        "network": {"width": 2},
        "maps": {"scales": [1.0]},
        TRAINING[method]: {"steps": 2, "batch": 4, "average_decay": 0.5},
    }
    if method == "dram":
        values |= {"refinement": {"weight": 0.0}, "context": {"train": False}}
    return parse(METHODS[method].settings, values, method)


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Part -> scans, as the training loop gets them."""
    scans: dict[str, set[str]] = {}
    for method, stage in TRAINING.items():
        module = sys.modules[METHODS[method].settings.__module__.replace("config", stage)]
        fit = module.fit

        def recording(*arguments: Any, fit: Any = fit) -> object:
            _, _, batch_at, _, validate, *_ = arguments
            scans["training"] = set(batch_at.crops.table["scan"])
            scans["validation"] = set(validate.crops.table["scan"])
            return fit(*arguments)

        monkeypatch.setattr(module, "fit", recording)
    return scans


def judged_in(run: Path, maps: str) -> list[set[str]]:
    """The scans in each table of a run."""
    return [set(pd.read_csv(run / table)["scan"]) for table in ("results.csv", "severity.csv", f"{maps}/scores.csv")]


def maps_of(run: Path) -> str:
    return next(path.name for path in run.iterdir() if path.name.endswith("-maps"))


@pytest.mark.parametrize("method", TRAINING)
def test_without_a_test_cohort_the_validation_scans_are_judged(
    method: str, cohort: Path, tmp_path: Path, taught: dict[str, set[str]]
) -> None:
    train(METHODS[method], settings(method, cohort), tmp_path / "run")
    assert taught == {"training": EVERY - HELD_OUT, "validation": HELD_OUT}
    assert judged_in(tmp_path / "run", maps_of(tmp_path / "run")) == [HELD_OUT] * 3


@pytest.mark.parametrize("method", TRAINING)
def test_with_a_test_cohort_its_scans_are_judged(
    method: str, cohort: Path, tmp_path: Path, taught: dict[str, set[str]]
) -> None:
    train(METHODS[method], settings(method, cohort, test=str(cohort.with_name("unseen"))), tmp_path / "run")
    assert taught == {"training": EVERY - HELD_OUT, "validation": HELD_OUT}
    assert judged_in(tmp_path / "run", maps_of(tmp_path / "run")) == [UNSEEN] * 3


def test_pseudo_labels_are_made_of_the_training_scans_alone(cohort: Path, tmp_path: Path) -> None:
    config = parse(
        METHODS["dram"].settings,
        {
            **settings("dram", cohort).model_dump(),
            "context": {"spacing_mm": None, "padding": "same", "window_voxels": 16, "crf": False},
        },
        "dram",
    )
    run_stages(METHODS["dram"].stages[:5], tmp_path, config)
    made = tmp_path / "05-pseudo-labels"
    assert {path.stem for path in (made / "images").iterdir()} == EVERY - HELD_OUT
    assert {scan_name(path) for path in (made / "labels").iterdir()} == EVERY - HELD_OUT
