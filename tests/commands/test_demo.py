"""The demo trains on the phantoms of its own seed, or not at all."""

from functools import partial
from pathlib import Path

import pytest

from weakmask.commands import demo
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import write_phantom_cohort


class EndedError(Exception):
    """In the place of a training."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A scan in each cohort; gives the runs that are trained, which ends the demo."""
    trained: list[Path] = []

    def stop(method: object, settings: object, run: Path) -> None:
        trained.append(run)
        raise EndedError

    for name, value in (
        ("TRAINING_SCANS", 1),
        ("TEST_SCANS", 1),
        ("QUICK_SHAPE", (20, 22, 24)),
        ("QUICK_SPACING_MM", (15.0,) * 3),
    ):
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(demo, "write_phantom_cohort", partial(write_phantom_cohort, workers=1))
    monkeypatch.setattr(demo, "train", stop)
    return trained


def test_phantoms_that_are_there_are_taken(tmp_path: Path, small: list[Path]) -> None:
    for _ in range(2):
        with pytest.raises(EndedError):
            demo.run_demo(tmp_path / "run", seed=3)
    assert small == [tmp_path / "run"] * 2


def test_phantoms_of_another_seed_are_refused(tmp_path: Path, small: list[Path]) -> None:
    with pytest.raises(EndedError):
        demo.run_demo(tmp_path / "run", seed=0)
    small.clear()
    with pytest.raises(UserError, match=r"run-phantoms/training: 1 phantoms with seed 0, .*; expected 1 .* seed 1, "):
        demo.run_demo(tmp_path / "run", seed=1)
    assert small == []


def test_a_folder_that_holds_no_phantoms_is_refused(tmp_path: Path, small: list[Path]) -> None:
    folder = tmp_path / "run-phantoms" / "training"
    folder.mkdir(parents=True)
    (folder / "scores.csv").write_text("scan,region,score\n", encoding="utf-8")
    with pytest.raises(UserError, match="training exists and is not an empty folder"):
        demo.run_demo(tmp_path / "run", seed=0)
    (folder / "phantom.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"phantom\.json: cannot be read as the recipe of phantoms"):
        demo.run_demo(tmp_path / "run", seed=0)
    assert small == []
