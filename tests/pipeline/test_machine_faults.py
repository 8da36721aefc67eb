"""Faults of the machine stop a run in one line; they never leave a scan out, and the same call goes on."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ball_cohort import write_ball_cohort

from weakmask.datasets.case import Case
from weakmask.errors import MachineError
from weakmask.methods.cam import CamSettings
from weakmask.pipeline import Stage, Work, run_stages
from weakmask.region_learning import prepare as prepare_stage
from weakmask.region_learning import usable_cases
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.volume import files

SCORES = {"healthy": {"LUL": 0, "LLL": 0}, "ill": {"LUL": 2, "LLL": 0}, "worse": {"LUL": 3, "LLL": 1}}
Fault = Callable[[], Exception]


def no_space() -> Exception:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_memory() -> Exception:
    return MemoryError("Unable to allocate 1.0 MiB for an array with shape (1048576,) and data type uint8")


@pytest.fixture
def settings(tmp_path: Path) -> CamSettings:
    write_ball_cohort(tmp_path / "cohort", SCORES)
    data = DataSettings(cohort=tmp_path / "cohort", validation=0.3)
    return CamSettings(data=data, device="cpu", prepare=PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8)))


@contextmanager
def failing(place: Any, name: str, fault: Fault, call: int) -> Iterator[None]:
    """Let one call of a function fail."""
    real, calls = getattr(place, name), []

    def maybe(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == call:
            raise fault()
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, maybe)
        yield
    assert len(calls) >= call


@pytest.mark.parametrize("fault", [no_space, no_memory])
@pytest.mark.parametrize(
    ("place", "name", "call"),
    [
        (files, "write_nifti", 3),  # a crop of the second scan
        (Case, "read_image", 4),  # its image, after its check
        (prepare_stage, "write_splits", 1),
    ],
)
def test_a_full_disk_or_memory_in_the_prepare_stage(
    tmp_path: Path, settings: CamSettings, fault: Fault, place: Any, name: str, call: int
) -> None:
    stages = (Stage("prepare", prepare_stage.prepare),)
    with failing(place, name, fault, call), pytest.raises(MachineError) as told:
        run_stages(stages, tmp_path / "run", settings)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "run" / "01-prepare").exists()
    run_stages(stages, tmp_path / "run", settings)
    run_stages(stages, tmp_path / "unbroken", settings)
    index = [(tmp_path / run / "01-prepare" / "index.csv").read_bytes() for run in ("run", "unbroken")]
    assert index[0] == index[1]
    assert b"ill" in index[0]


def test_a_scan_too_large_costs_that_scan_alone_and_the_report_says_so(
    tmp_path: Path, settings: CamSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = usable_cases.check_case

    def huge(case: Any, *arguments: Any, **named: Any) -> Any:
        return np.empty(1 << 60, np.uint8) if case.name == "ill" else real(case, *arguments, **named)

    monkeypatch.setattr(usable_cases, "check_case", huge)
    run_stages((Stage("prepare", prepare_stage.prepare),), tmp_path / "run", settings)
    assert "ill" not in (tmp_path / "run" / "01-prepare" / "index.csv").read_text()
    record = (tmp_path / "run" / "manifest.json").read_text()
    assert "left out ill: " in record
    assert "too large for the memory of this machine" in record


@pytest.mark.parametrize("fault", [no_space, no_memory])
def test_any_stage_ends_in_one_line(tmp_path: Path, settings: CamSettings, fault: Fault) -> None:
    def stage(work: Work[CamSettings]) -> None:
        (work.out / "half").write_text("half")
        raise fault()

    with pytest.raises(MachineError, match=r"^stage 01-prepare: .*, and the same command goes on"):
        run_stages((Stage("prepare", stage),), tmp_path / "run", settings)
    assert not (tmp_path / "run" / "01-prepare").exists()


def test_a_disk_that_fails_costs_no_checkpoint(
    tmp_path: Path, settings: CamSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of what an unfinished stage was begun with cannot be read: its folder is not taken for an older one."""
    checkpoint = tmp_path / "run" / ".01-training.partial" / "checkpoint"

    def stage(work: Work[CamSettings]) -> None:
        if not checkpoint.exists():
            checkpoint.write_text("step 1")
            raise no_space()

    def opened(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == "begun.json":
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *arguments, **named)

    stages = (Stage("training", stage, resumable=True),)
    with pytest.raises(MachineError):
        run_stages(stages, tmp_path / "run", settings)
    real = Path.open
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        with pytest.raises(MachineError, match="Too many open files"):
            run_stages(stages, tmp_path / "run", settings)
    assert checkpoint.read_text() == "step 1"
    run_stages(stages, tmp_path / "run", settings)
    assert (tmp_path / "run" / "01-training" / "checkpoint").exists()


def test_a_fault_of_the_program_stays_one(tmp_path: Path, settings: CamSettings) -> None:
    def stage(work: Work[CamSettings]) -> None:
        (work.out / "absent").read_text()

    with pytest.raises(FileNotFoundError):
        run_stages((Stage("prepare", stage),), tmp_path / "run", settings)
