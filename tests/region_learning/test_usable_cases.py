"""A case is checked once in a process, and again when one of its files has changed."""

from dataclasses import replace
from pathlib import Path

import pytest
from ball_cohort import write_ball_cohort

from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.datasets.cohort import read_cohort
from weakmask.methods.dram.config import DramSettings
from weakmask.pipeline import Work
from weakmask.region_learning import usable_cases
from weakmask.region_learning.settings import DataSettings
from weakmask.region_learning.usable_cases import usable_case
from weakmask.volume.files import read_volume, write_volume


def test_a_file_that_changed_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ball_cohort(tmp_path / "cohort", {"one": {"LUL": 2, "LLL": 0}})
    cohort, calls, real = read_cohort(tmp_path / "cohort"), list[str](), usable_cases.check_case
    case = cohort.cases[0]

    def counted(case: Case, cohort: Cohort, *, hounsfield: bool) -> tuple[Case | None, list[Fault]]:
        calls.append(case.name)
        return real(case, cohort, hounsfield=hounsfield)

    monkeypatch.setattr(usable_cases, "check_case", counted)
    config = DramSettings(device="cpu", data=DataSettings(cohort=cohort.folder, validation=0.5))
    (tmp_path / "run").mkdir()

    def used() -> tuple[Case | None, list[str]]:
        """The case, and the notes of a stage that uses it."""
        work = Work(tmp_path / "run", tmp_path / "run" / "01-prepare", config)
        return usable_case(case, cohort, work), work.notes

    assert used() == used() == (case, [])
    assert calls == ["one"]
    image = read_volume(case.image)
    write_volume(image.with_voxels(image.voxels + 3000), case.image)  # no Hounsfield units any more
    for _ in range(2):
        usable, notes = used()
        assert usable is None
        assert "not in Hounsfield units" in notes[0]
    assert calls == ["one", "one"]
    assert case.regions is not None
    case.regions.unlink()
    usable, notes = used()
    assert usable is None
    assert "no such file" in notes[0]


def test_a_folder_without_files_is_a_fault_of_its_case_alone(tmp_path: Path) -> None:
    write_ball_cohort(tmp_path / "cohort", {"one": {"LUL": 2, "LLL": 0}})
    cohort = read_cohort(tmp_path / "cohort")
    (tmp_path / "cohort" / "images" / "empty").mkdir()
    case = replace(cohort.cases[0], image=tmp_path / "cohort" / "images" / "empty")
    config = DramSettings(device="cpu", data=DataSettings(cohort=cohort.folder, validation=0.5))
    work = Work(tmp_path, tmp_path / "01-prepare", config)
    assert usable_case(case, cohort, work) is None
    assert "left out one: images/empty: " in work.notes[0]
