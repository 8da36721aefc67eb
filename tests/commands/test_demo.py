"""The demo trains dRAM complete and raw on the phantoms of its own seed, or not at all, and shows both in one table."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from weakmask.commands import demo
from weakmask.errors import UserError
from weakmask.experiments.dram_phantoms import QUICK
from weakmask.experiments.experiment import changed
from weakmask.experiments.training import Training
from weakmask.methods import load_config, write_run_report
from weakmask.methods.dram import DramSettings
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline.parallel_runs import Task

METHODS_SHOWN = ["dRAM complete", "dRAM raw", "Otsu in the region", "fixed threshold", "nothing"]


class EndedError(Exception):
    """In the place of the trainings."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few scans of few voxels, and one step of each network."""
    few = {"steps": 1, "batch": 2}
    changes = {
        "prepare": {"crop_shape": (16, 16, 16)},
        "network": {"width": 1},
        "vessels": {"steps": 1},
        "regression": few,
        "context": {**few, "width": 1, "window_voxels": 16},
    }
    settings = {"dram": changed(QUICK.settings["dram"], changes)}
    sizes = {"training_scans": 3, "shape": (20, 22, 24), "spacing_mm": (15.0,) * 3}
    monkeypatch.setattr(demo, "QUICK", replace(QUICK, settings=settings, **sizes))
    monkeypatch.setattr(demo, "TEST_SCANS", 1)
    monkeypatch.setattr(demo, "write_phantom_cohort", partial(write_phantom_cohort, workers=1))
    monkeypatch.setattr(demo, "jobs_for", lambda _: 1)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Training]]:
    """The trainings that the demo begins; the first of them end it."""
    trainings_of_calls: list[Sequence[Training]] = []

    def end(trainings: Sequence[Training]) -> None:
        trainings_of_calls.append(trainings)
        raise EndedError

    monkeypatch.setattr(demo, "_train_together", end)
    return trainings_of_calls


def dram_of(training: Training) -> DramSettings:
    assert isinstance(training.settings, DramSettings)
    return training.settings


def test_both_methods_are_in_the_table_and_in_the_report_and_a_scan_is_segmented(tmp_path: Path) -> None:
    run = tmp_path / "run"
    table = demo.run_demo(run, seed=0)
    assert table["method"].tolist() == METHODS_SHOWN
    raw = pd.read_csv(tmp_path / "run-raw" / "summary.csv").iloc[0]
    assert table.iloc[1].to_dict() == pytest.approx(raw.to_dict(), nan_ok=True)
    page = (run / "report.html").read_text(encoding="utf-8")
    rows = [page.index(f'<th scope="row">{method}</th>') for method in METHODS_SHOWN]
    assert rows == sorted(rows)
    assert [path.name for path in (run / "one-scan").glob("*/mask.nii.gz")] == ["mask.nii.gz"]
    assert (tmp_path / "run-raw" / "01-prepare" / "index.csv").samefile(run / "01-prepare" / "index.csv")

    # a run folder like any other: its own tables, and the same report again
    assert pd.read_csv(run / "summary.csv")["method"].tolist() == [METHODS_SHOWN[0], *METHODS_SHOWN[2:]]
    method, settings = load_config(run / "config.yaml")
    pd.testing.assert_frame_equal(write_run_report(method, settings, run), table)

    # the same command again trains nothing
    weights = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    assert len(weights) > 2
    pd.testing.assert_frame_equal(demo.run_demo(run, seed=0), table)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")} == weights


def test_the_complete_method_goes_into_the_run_and_raw_beside_it(
    tmp_path: Path, begun: list[Sequence[Training]]
) -> None:
    for _ in range(2):  # the second call takes the phantoms of the first
        with pytest.raises(EndedError):
            demo.run_demo(tmp_path / "run", seed=3)
    assert len(begun) == 2
    complete, raw = begun[1]
    assert (complete.run, raw.run) == (tmp_path / "run", tmp_path / "run-raw")
    assert raw.others == (complete.run,)
    assert dram_of(complete).context.train
    assert dram_of(complete).refinement.anchor.until > 0
    assert not dram_of(raw).context.train
    assert dram_of(raw).refinement.weight == dram_of(raw).losses.equivariance == 0
    for part in ("data", "prepare", "network", "regression", "seed"):  # they share the crops, and compare fairly
        assert getattr(complete.settings, part) == getattr(raw.settings, part)
    assert dram_of(raw).data.cohort == tmp_path / "run-phantoms" / "training"
    assert dram_of(raw).data.test == tmp_path / "run-phantoms" / "test"
    assert dram_of(raw).seed == dram_of(raw).data.split_seed == 3


@pytest.mark.parametrize(("cores", "jobs"), [(1, 1), (2, 2), (4, 2)])
def test_the_trainings_share_the_cores_and_write_a_log_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, jobs: int
) -> None:
    calls: list[tuple[list[Task], int]] = []

    def note(tasks: Sequence[Task], jobs: int, short_of_memory: str) -> None:
        assert "--jobs" not in short_of_memory  # the demo has no such flag
        calls.append((list(tasks), jobs))
        raise EndedError

    monkeypatch.setattr(demo, "run_in_parallel", note)
    monkeypatch.setattr(demo, "jobs_for", lambda _: cores)
    with pytest.raises(EndedError):
        demo.run_demo(tmp_path / "run", seed=0)
    [(tasks, at_a_time)] = calls
    assert at_a_time == jobs
    assert [task.log for task in tasks] == [tmp_path / "run" / "log.txt", tmp_path / "run-raw" / "log.txt"]
    assert all((task.log.parent / "01-prepare").is_dir() for task in tasks)  # no two processes make it


def test_phantoms_of_another_seed_are_refused(tmp_path: Path, begun: list[Sequence[Training]]) -> None:
    with pytest.raises(EndedError):
        demo.run_demo(tmp_path / "run", seed=0)
    begun.clear()
    with pytest.raises(UserError, match=r"run-phantoms/training: 3 phantoms with seed 0, .*; expected 3 .* seed 1, "):
        demo.run_demo(tmp_path / "run", seed=1)
    assert begun == []


def test_a_folder_that_holds_no_phantoms_is_refused(tmp_path: Path, begun: list[Sequence[Training]]) -> None:
    folder = tmp_path / "run-phantoms" / "training"
    folder.mkdir(parents=True)
    (folder / "scores.csv").write_text("scan,region,score\n", encoding="utf-8")
    with pytest.raises(UserError, match="training exists and is not an empty folder"):
        demo.run_demo(tmp_path / "run", seed=0)
    (folder / "phantom.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"phantom\.json: cannot be read as the recipe of phantoms"):
        demo.run_demo(tmp_path / "run", seed=0)
    assert begun == []
