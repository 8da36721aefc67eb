"""The record of a method, for every method: what it holds, and what its run leaves."""

from pathlib import Path

import pandas as pd
import pytest

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.methods import METHODS, load_config, model_file, write_run_report
from weakmask.methods.method import Method
from weakmask.pipeline import Run, Stage, Work, run_stages
from weakmask.report.page import Page


@pytest.mark.parametrize("name", METHODS)
def test_every_record_is_complete(name: str) -> None:
    method = METHODS[name]
    assert method.title
    assert method.paper
    assert method.labels
    assert method.settings.model_fields["method"].default == name
    assert method.stages[-1].name == "evaluation"
    names = [stage.name for stage in method.stages]
    assert len(set(names)) == len(names)
    for place, stage in enumerate(method.stages):
        assert set(stage.after) <= set(names[:place]), f"{stage.name} reads a stage that does not come before it"
        fields = {setting.partition(".")[0] for setting in stage.settings or ()}
        assert fields <= set(method.settings.model_fields)
    trained = [stage for stage in method.stages if stage.resumable]
    assert trained, "some stage trains"


def test_a_name_that_is_no_method_is_no_key() -> None:
    assert "nosuch" not in METHODS
    with pytest.raises(KeyError):
        METHODS["nosuch"]


class Numbers(Settings):
    method: str = "numbers"


def evaluate(work: Work[Numbers]) -> None:
    for name in ("summary.csv", "results.csv"):
        (work.out / name).write_text("a\n1\n", encoding="utf-8")


def report(run: Run[Numbers]) -> Page:
    return Page("numbers", "one number", table=pd.read_csv(run.stage("evaluation") / "summary.csv"))


METHOD = Method("numbers", "none", "none", Numbers, (Stage("evaluation", evaluate),), report)


def test_the_tables_of_the_evaluation_and_the_report_lie_at_the_run_s_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}: stage evaluation is not finished"):
        write_run_report(METHOD, Numbers(), tmp_path)
    assert not list(tmp_path.iterdir())
    run_stages(METHOD.stages, tmp_path, Numbers())
    summary = write_run_report(METHOD, Numbers(), tmp_path)
    assert summary["a"].tolist() == [1]
    files = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert files == {"config.yaml", "manifest.json", "results.csv", "summary.csv", "report.html"}


def test_the_model_of_a_run_is_that_of_the_stage_that_the_method_names(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "dram_phantom.yaml"
    method, settings = load_config(config)
    (tmp_path / "config.yaml").write_bytes(config.read_bytes())
    for folder in ("04-model", "06-context-model"):
        (tmp_path / folder).mkdir()
    assert method.model_stage(settings) == "context-model"
    assert model_file(tmp_path) == tmp_path / "06-context-model" / "model.safetensors"
    (tmp_path / "config.yaml").write_text(config.read_text().replace("train: true", "train: false"), encoding="utf-8")
    assert model_file(tmp_path) == tmp_path / "04-model" / "model.safetensors"
    (tmp_path / "config.yaml").write_bytes(config.read_bytes())
    (tmp_path / "06-context-model").rmdir()
    with pytest.raises(UserError, match="stage context-model is not finished"):
        model_file(tmp_path)
    with pytest.raises(UserError, match=r"holds no config\.yaml; expected a run folder"):
        model_file(tmp_path / "04-model")
    with pytest.raises(UserError, match="no such model"):
        model_file(tmp_path / "elsewhere")
