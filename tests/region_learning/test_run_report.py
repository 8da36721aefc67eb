"""What every run leaves at its root, and the paragraph on crops."""

from pathlib import Path

import pytest

from weakmask.errors import UserError
from weakmask.region_learning.run_report import Story, conclude_run, copy_tables, preparation_text
from weakmask.region_learning.settings import PrepareSettings


def test_all_tables_that_the_stage_left_are_copied(tmp_path: Path) -> None:
    judged = tmp_path / "05-evaluation"
    judged.mkdir()
    for name in ("results.csv", "significance.csv", "stage.json"):
        (judged / name).write_text(name, encoding="utf-8")
    copy_tables(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["results.csv", "significance.csv"]
    assert (tmp_path / "results.csv").read_text(encoding="utf-8") == "results.csv"


def test_a_run_that_is_not_finished_has_no_report_yet(tmp_path: Path) -> None:
    story = Story("dRAM", "dRAM raw", "trained", "03-regression", "")
    with pytest.raises(UserError, match=f"{tmp_path}: stage evaluation is not finished"):
        conclude_run(tmp_path, None, story)
    assert not list(tmp_path.iterdir())


def test_crops_of_the_scans_own_grid_are_told_in_a_sentence() -> None:
    assert preparation_text(PrepareSettings(spacing_mm=None)).startswith("Scans were cropped around each")
    assert preparation_text(PrepareSettings()).startswith("Scans were resampled to 1.2 mm and cropped around each")
