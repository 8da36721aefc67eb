"""Sets of scores from the validation scans of a training to the tables and the report of a prediction."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from malformed_files import cohort

from weakmask.errors import UserError
from weakmask.methods.supervised.config import MapSettings, SupervisedSettings
from weakmask.methods.supervised.maps import load, model
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.training.checkpoints import MODEL, extend_header, save_weights

Run = Callable[..., tuple[int, list[str]]]
LOBES = ("LUL", "LLL", "RUL", "RML", "RLL")
UNET = {"dimensions": 3, "in_channels": 1, "out_channels": 1, "width": 1, "padding": "same"}
SCANS = 11


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run up to its model: 11 scans, 10 of them held out, and a network that marks nothing.

    The left upper lobes have score 1, one of them 2; the other lobes have score 0.
    """
    folder = tmp_path_factory.mktemp("score sets")
    scores = [[1 + (number == 3), 0, 0, 0, 0] for number in range(SCANS)]
    rows = [f"s{n},{lobe},{k}" for n, given in enumerate(scores) for lobe, k in zip(LOBES, given, strict=True)]
    cohort(folder / "cohort", "\n".join(["scan,region,score", *rows]), scans=SCANS)
    config = settings(folder, validation=0.9)
    for name in ("01-prepare", "02-segmentation"):
        (folder / "run" / name).mkdir(parents=True)
    prepare(Work(folder / "run", folder / "run" / "01-prepare", config))
    torch.manual_seed(0)
    arguments = {**UNET, "initial_probability": 0.1}
    weights = folder / "run" / "02-segmentation" / "best.safetensors"
    save_weights(weights, build_network("unet", arguments), {"network": "unet", "arguments": arguments})
    return folder


def settings(folder: Path, validation: float, coverage: float | None = 0.9) -> SupervisedSettings:
    return SupervisedSettings(
        device="cpu",
        data=DataSettings(cohort=folder / "cohort", validation=validation),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8)),
        network=NetworkSettings(width=1),
        maps=MapSettings(score_set_coverage=coverage),
    )


def written(before: Path, out: Path, coverage: float | None = 0.9) -> Work:
    """The stage that writes the model, run into `out`."""
    work = Work(before / "run", out, settings(before, 0.9, coverage))
    out.mkdir()
    model(work)
    return work


@pytest.fixture(scope="module")
def stage(before: Path) -> Work:
    """The stage with a model whose sets of scores are calibrated."""
    return written(before, before / "model")


def test_the_model_holds_the_calibration_on_held_out_regions(stage: Work) -> None:
    sets = load(stage.out / MODEL, torch.device("cpu")).model.score_sets
    assert sets is not None
    assert (sets.coverage, sets.regions, sets.patients) == (0.9, 50, 10)
    assert sets.distance == pytest.approx(math.sqrt(0.05))  # from nothing marked to score 2, the farthest of 50
    assert any("coverage of 90 %, calibrated on 50 regions of 10 held-out patients" in line for line in stage.notes)


def test_tables_record_and_report_of_a_prediction_show_the_sets(
    stage: Work, before: Path, tmp_path: Path, weakmask: Run
) -> None:
    scans = before / "cohort"
    code, lines = weakmask(
        *("predict", stage.out / MODEL, scans / "images" / "s0.nii.gz"),
        *("--regions", scans / "regions" / "s0.nii.gz", "-o", tmp_path),
    )
    assert code == 0, lines
    assert pd.read_csv(tmp_path / "scores.csv")["score_set"].tolist() == ["0 to 2"] * 5
    assert [row["score_set"] for row in json.loads((tmp_path / "s0" / "scan.json").read_text())["rows"]] == [
        "0 to 2"
    ] * 5
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Set of scores" in report
    assert report.count("<td>0 to 2</td>") == 5
    assert "calibrated on 50 regions of 10 held-out patients" in report


@pytest.mark.parametrize(
    ("coverage", "words"),
    [
        (0.95, "no sets of scores: 10 held-out patients have scores, and a coverage of 95 % takes 19; give more scans"),
        (None, ""),
    ],
)
def test_without_enough_patients_or_without_a_coverage_there_are_none(
    before: Path, tmp_path: Path, coverage: float | None, words: str
) -> None:
    work = written(before, tmp_path / "model", coverage)
    assert load(work.out / MODEL, torch.device("cpu")).model.score_sets is None
    assert [line for line in work.notes if "sets of scores" in line and words in line] == work.notes[: bool(words)]


@pytest.mark.parametrize("damage", [{"distance": 2.0}, {"coverage": 1.0}, {"patients": 0}, {"distance": "near"}])
def test_a_damaged_calibration_is_refused(stage: Work, tmp_path: Path, damage: dict[str, object]) -> None:
    path = tmp_path / MODEL
    path.write_bytes((stage.out / MODEL).read_bytes())
    whole = {"coverage": 0.9, "distance": 0.1, "regions": 50, "patients": 10}
    extend_header(path, {"score_sets": {**whole, **damage}})
    with pytest.raises(UserError, match=f"its header is damaged .*score_sets.{next(iter(damage))}"):
        load(path, torch.device("cpu"))
