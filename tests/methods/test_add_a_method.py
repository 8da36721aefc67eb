"""A method that is written as CONTRIBUTING.md says trains, predicts and reports by the command line."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, ClassVar, Literal

import pandas as pd
import pytest
import torch
from pydantic import Field
from torch import nn
from typer.testing import CliRunner

from weakmask import methods
from weakmask.cli import app
from weakmask.config import Settings
from weakmask.datasets.cohort import read_cohort
from weakmask.methods.method import Method
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import Run, Stage, Work
from weakmask.prediction import About, Limits, Prediction, Scan, Value
from weakmask.region_learning.settings import DataSettings
from weakmask.report.page import Page
from weakmask.training.checkpoints import MODEL, load_weights, save_weights
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume


class ToySettings(Settings):
    """One threshold for all scans."""

    method: Literal["toy"] = "toy"
    seed: int = Field(default=0, description="random seed")
    device: Literal["auto", "cpu"] = Field(default="auto", description="where to compute")
    data: DataSettings
    threshold: Annotated[float, Field(ge=-1024)] = Field(
        default=-300.0, description="HU above which a voxel is lesion (O)"
    )


class Threshold(nn.Module):
    """A network without a layer."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(value))


class ToySegmenter:
    """The trained toy."""

    needs_regions: ClassVar[dict[int, str]] = {}
    about = About("a toy", "", {}, {})

    def __init__(self, value: float) -> None:
        self.value = value

    def segment(self, scan: Scan) -> Prediction:
        mask = scan.image.with_voxels((scan.image.voxels > self.value).astype("uint8"), "label")
        value = Value("image", scan.name, "fraction", float(mask.voxels.mean()))
        return Prediction(mask, {}, None, (value,))

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        return scan.image, (-1000.0, 500.0)


def prepare(work: Work) -> None:
    names = [case.name for case in read_cohort(work.config.data.cohort).cases]
    pd.DataFrame({"scan": names}).to_csv(work.out / "scans.csv", index=False)


def model(work: Work) -> None:
    save_weights(work.out / MODEL, Threshold(work.config.threshold), {"method": "toy"})


def evaluation(work: Work) -> None:
    scans = pd.read_csv(work.stage("prepare") / "scans.csv")
    threshold = float(load_weights(work.stage("model") / MODEL)[0]["value"])
    pd.DataFrame({"method": ["toy"], "scans": [len(scans)], "threshold": [threshold]}).to_csv(
        work.out / "summary.csv", index=False
    )


def report(run: Run) -> Page:
    return Page(title="toy", summary="One threshold.", table=pd.read_csv(run.stage("evaluation") / "summary.csv"))


def load(path: Path, device: torch.device, limits: Limits) -> ToySegmenter:
    return ToySegmenter(float(load_weights(path)[0]["value"]))


TOY = Method(
    title="masks by a threshold",
    paper="none",
    labels="none",
    settings=ToySettings,
    stages=(
        Stage("prepare", prepare, settings=("device", "data")),
        Stage("model", model, after=("prepare",), settings=("threshold",)),
        Stage("evaluation", evaluation, after=("prepare", "model")),
    ),
    report=report,
    load=load,
)


def run(*words: str) -> str:
    """What a verb prints; it has to end well."""
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_new_method_needs_one_record_and_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "NAMES", (*methods.NAMES, "toy"))
    monkeypatch.setitem(sys.modules, "weakmask.methods.toy", SimpleNamespace(METHOD=TOY))  # pyright: ignore[reportArgumentType]
    monkeypatch.chdir(tmp_path)
    write_phantom_cohort(tmp_path / "cohort", 2, 0, (40, 48, 48), (8.0, 8.0, 8.0))
    (tmp_path / "toy.yaml").write_text("method: toy\ndata: {cohort: cohort}\n", encoding="utf-8")
    assert "masks by a threshold" in run("methods")
    assert "HU above which a voxel is lesion" in run("show", "toy.yaml")
    assert "-250.000" in run("train", "toy.yaml", "--out", "run", "--set", "threshold=-250")
    run("report", "run")
    run("predict", "run", "cohort/images", "--out", "masks")
    path = min((tmp_path / "cohort" / "images").iterdir())
    image, name = read_volume(path), path.name.removesuffix(".nii.gz")
    mask = read_volume(tmp_path / "masks" / name / "mask.nii.gz", "label")
    assert ((image.voxels > -250) == (mask.voxels > 0)).all()
    assert "iou_pooled" in run("evaluate", "masks", "cohort", "--out", "results")
