"""A first stage that runs share is made once, and a folder of somebody else's in its place is left alone."""

from pathlib import Path

import pytest

from weakmask.errors import UserError
from weakmask.experiments.stage_reuse import share_first
from weakmask.methods.lobes.config import DataSettings, LobeSettings
from weakmask.pipeline import Stage, Work, run_stages


def write_number(work: Work) -> None:
    (work.out / "number.txt").write_text(str(work.config.data.phantoms), encoding="utf-8")


def stop(work: Work) -> None:
    raise KeyboardInterrupt


FIRST = (Stage("prepare", write_number, settings=("data",)),)
FOLDER = "01-prepare"


def test_the_first_stage_is_made_once(tmp_path: Path) -> None:
    shared = tmp_path / "scans"
    for seed in (0, 1):
        share_first(FIRST, tmp_path / str(seed), LobeSettings(seed=seed), shared)
    files = [folder / FOLDER / "number.txt" for folder in (shared, tmp_path / "0", tmp_path / "1")]
    assert [file.read_text(encoding="utf-8") for file in files] == ["200", "200", "200"]


def test_one_that_was_made_with_other_settings_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "scans"
    share_first(FIRST, tmp_path / "few", LobeSettings(data=DataSettings(phantoms=3)), shared)
    with pytest.raises(UserError, match=r"scans was made with other settings or from other inputs; choose"):
        share_first(FIRST, tmp_path / "more", LobeSettings(data=DataSettings(phantoms=4)), shared)
    assert not (tmp_path / "more").exists()


def test_what_only_later_stages_read_may_differ(tmp_path: Path) -> None:
    shared = tmp_path / "scans"
    first = LobeSettings()
    other = LobeSettings(seed=1, segmentation=first.segmentation.model_copy(update={"steps": 2}))
    for name, settings in (("first", first), ("other", other)):
        share_first(FIRST, tmp_path / name, settings, shared)
        run_stages(FIRST, tmp_path / name, settings)  # accepts the copy as its own
    assert (tmp_path / "other" / FOLDER / "number.txt").read_text(encoding="utf-8") == "200"


def test_a_stopped_one_is_made_by_the_next_row(tmp_path: Path) -> None:
    shared = tmp_path / "scans"
    with pytest.raises(KeyboardInterrupt):
        run_stages([Stage("prepare", stop)], shared, LobeSettings(seed=0))
    (shared / "manifest.json").write_text("{}", encoding="utf-8")
    share_first(FIRST, tmp_path / "run", LobeSettings(seed=1), shared)
    assert (tmp_path / "run" / FOLDER / "number.txt").read_text(encoding="utf-8") == "200"


@pytest.mark.parametrize("names", [("scan.nii.gz",), ("config.yaml", "scan.nii.gz"), ("manifest.json",)])
def test_a_folder_of_the_user_s_is_left_alone(tmp_path: Path, names: tuple[str, ...]) -> None:
    shared = tmp_path / "scans"
    shared.mkdir()
    for name in names:
        (shared / name).write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="scans is not empty and is not what an earlier call left; choose another"):
        share_first(FIRST, tmp_path / "run", LobeSettings(), shared)
    assert {file.name: file.read_text(encoding="utf-8") for file in shared.iterdir()} == dict.fromkeys(names, "mine")
    assert not (tmp_path / "run").exists()
