"""A finished stage is copied from another run where it was made from the same settings, and from no other."""

from pathlib import Path
from typing import Any

import pytest

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.methods.lobes.config import DataSettings, LobeSettings, SegmentationSettings
from weakmask.pipeline import Stage, Work, run_stages
from weakmask.pipeline.stage_reuse import reuse_stages


def write_number(work: Work[Any]) -> None:
    (work.out / "number.txt").write_text(str(work.config.data.phantoms), encoding="utf-8")


def write_steps(work: Work[Any]) -> None:
    number = (work.stage("prepare") / "number.txt").read_text(encoding="utf-8")
    (work.out / "steps.txt").write_text(f"{number} {work.config.segmentation.steps}", encoding="utf-8")


STAGES = (
    Stage("prepare", write_number, settings=("data",)),
    Stage("training", write_steps, after=("prepare",), settings=("seed", "segmentation")),
)
NUMBER = "01-prepare/number.txt"


def reused(run: Path, settings: Settings, others: list[Path]) -> list[str]:
    """What is reused by a new run, which is then finished."""
    run_stages([], run, settings)
    found = reuse_stages(run, STAGES, settings, others)
    run_stages(STAGES, run, settings)  # accepts the copies as its own
    return found


def test_a_run_with_the_same_settings_reuses_all_stages(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert reused(first, LobeSettings(), [second, first]) == []
    assert reused(second, LobeSettings(), [tmp_path / "missing", first]) == ["prepare", "training"]
    for file in (NUMBER, "02-training/steps.txt"):
        assert (second / file).stat().st_ino == (first / file).stat().st_ino  # takes no space


def test_what_only_later_stages_read_may_differ(tmp_path: Path) -> None:
    first = tmp_path / "first"
    reused(first, LobeSettings(), [])
    for name, other in {
        "seed": LobeSettings(seed=1),
        "steps": LobeSettings(segmentation=SegmentationSettings(steps=2)),
    }.items():
        assert reused(tmp_path / name, other, [first]) == ["prepare"]
    assert (tmp_path / "steps" / "02-training" / "steps.txt").read_text(encoding="utf-8") == "200 2"


def test_a_stage_after_one_with_other_settings_is_made_anew(tmp_path: Path) -> None:
    first = tmp_path / "first"
    reused(first, LobeSettings(), [])
    other = LobeSettings(data=DataSettings(phantoms=4))
    assert reused(tmp_path / "other", other, [first]) == []
    assert (tmp_path / "other" / NUMBER).read_text(encoding="utf-8") == "4"


def test_an_interrupted_stage_is_not_reused(tmp_path: Path) -> None:
    def stop(work: Work[Any]) -> None:
        write_number(work)
        raise KeyboardInterrupt

    first = tmp_path / "first"
    with pytest.raises(KeyboardInterrupt):
        run_stages([Stage("prepare", stop, settings=("data",), resumable=True)], first, LobeSettings())
    assert reused(tmp_path / "second", LobeSettings(), [first]) == []


def test_a_folder_of_the_user_is_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "scan.nii.gz").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="run is not empty and is not a run; choose another output folder"):
        reused(run, LobeSettings(), [])
    assert [file.name for file in run.iterdir()] == ["scan.nii.gz"]
