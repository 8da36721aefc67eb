"""A finished stage is refused once its settings, its inputs or an earlier stage have changed."""

import json
import os
import shutil
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.pipeline import Stage, Work, finished_elsewhere, run_stages
from weakmask.pipeline.keys import ABSENT, FileState, changed_inputs, settings_key, state_of


class Section(Settings):
    weight: float = 1.0
    start: float = 0.2


class Numbers(Settings):
    method: str = "numbers"
    seed: int = 3
    source: Path = Path("source.txt")
    section: Section = Section()


def copy_source(work: Work[Numbers]) -> None:
    work.hash_input(work.config.source)
    work.hash_input(work.config.source.with_suffix(".yaml"))
    shutil.copy(work.config.source, work.out / "copy.txt")


def copy_source_anew(work: Work[Numbers]) -> None:
    copy_source(work)


def double(work: Work[Numbers]) -> None:
    (work.out / "twice.txt").write_text((work.stage("copy") / "copy.txt").read_text() * work.config.seed)


STAGES = (
    Stage("copy", copy_source, settings=("source",)),
    Stage("double", double, after=("copy",), settings=("seed", "section.weight"), resumable=True),
)


@pytest.fixture
def config(tmp_path: Path) -> Numbers:
    (tmp_path / "source.txt").write_text("a")
    return Numbers(source=tmp_path / "source.txt")


def test_a_changed_input_is_refused_by_its_name(tmp_path: Path, config: Numbers) -> None:
    run_stages(STAGES, tmp_path / "run", config)
    config.source.write_text("b")
    with pytest.raises(UserError, match=r"01-copy is out of date: .*source\.txt has changed; choose another output"):
        run_stages(STAGES, tmp_path / "run", config)
    assert (tmp_path / "run" / "02-double" / "twice.txt").read_text() == "aaa"


def test_an_input_that_is_gone_or_new_is_refused(tmp_path: Path, config: Numbers) -> None:
    run_stages(STAGES, tmp_path / "run", config)
    config.source.with_suffix(".yaml").write_text("0: [0, 0]")
    with pytest.raises(UserError, match=r"source\.yaml is new"):
        run_stages(STAGES, tmp_path / "run", config)
    config.source.with_suffix(".yaml").unlink()
    config.source.unlink()
    with pytest.raises(UserError, match=r"source\.txt is gone"):
        run_stages(STAGES, tmp_path / "run", config)


def test_a_stage_that_another_function_has_made_is_refused(tmp_path: Path, config: Numbers) -> None:
    run_stages(STAGES, tmp_path / "run", config)
    renamed = (replace(STAGES[0], run=copy_source_anew), STAGES[1])
    with pytest.raises(UserError, match=r"01-copy is out of date: its settings or its code have changed"):
        run_stages(renamed, tmp_path / "run", config)


def test_a_file_that_was_only_touched_is_the_same(tmp_path: Path, config: Numbers) -> None:
    run_stages(STAGES, tmp_path / "run", config)
    record = (tmp_path / "run" / "01-copy" / "stage.json").read_bytes()
    os.utime(config.source, (1, 1))
    run_stages(STAGES, tmp_path / "run", config)
    assert (tmp_path / "run" / "01-copy" / "stage.json").read_bytes() == record


def test_a_later_stage_is_refused_when_an_earlier_one_was_made_anew(tmp_path: Path, config: Numbers) -> None:
    run_stages(STAGES, tmp_path / "run", config)
    shutil.rmtree(tmp_path / "run" / "01-copy")
    config.source.write_text("b")
    with pytest.raises(UserError, match="02-double is out of date: stage copy was made anew"):
        run_stages(STAGES, tmp_path / "run", config)
    shutil.rmtree(tmp_path / "run" / "02-double")
    run_stages(STAGES, tmp_path / "run", config)
    assert (tmp_path / "run" / "02-double" / "twice.txt").read_text() == "bbb"


def test_what_an_interrupted_stage_left_is_kept_only_for_the_same_key(tmp_path: Path, config: Numbers) -> None:
    found: list[bool] = []

    def stopped(work: Work[Numbers]) -> None:
        found.append((work.out / "checkpoint").exists())
        (work.out / "checkpoint").touch()
        raise KeyboardInterrupt

    stages = (STAGES[0], Stage("double", stopped, after=("copy",), resumable=True))
    for change in (False, False, True):
        if change:
            shutil.rmtree(tmp_path / "run" / "01-copy")
            config.source.write_text("b")
        with pytest.raises(KeyboardInterrupt):
            run_stages(stages, tmp_path / "run", config)
    assert found == [False, True, False]


def test_a_stage_sees_only_the_settings_and_stages_that_it_declares(tmp_path: Path, config: Numbers) -> None:
    def reads_more(work: Work[Numbers]) -> None:
        (work.out / "weight.txt").write_text(str(work.config.section.weight))
        with pytest.raises(AttributeError):
            _ = work.config.seed
        with pytest.raises(AttributeError):
            _ = work.config.section.start
        with pytest.raises(ValueError, match="reads copy and does not name it"):
            work.stage("copy")

    run_stages((STAGES[0], Stage("more", reads_more, settings=("section.weight",))), tmp_path / "run", config)
    assert (tmp_path / "run" / "02-more" / "weight.txt").read_text() == "1.0"
    with pytest.raises(ValueError, match="has no field sections"):
        run_stages((Stage("copy", copy_source, settings=("sections",)),), tmp_path / "other", config)


def test_the_key_depends_on_the_declared_settings_alone(config: Numbers) -> None:
    def key(name: str, **update: object) -> str:
        return settings_key(STAGES, name, config.model_copy(update=update))

    assert key("copy") == key("copy", seed=4, section=Section(weight=2.0))
    assert key("copy") != key("copy", source=Path("elsewhere"))
    assert key("double") == key("double", section=Section(start=0.9))
    assert len({key("double"), key("double", seed=4), key("double", section=Section(weight=2.0))}) == 3
    assert key("double") != key("double", source=Path("elsewhere"))  # through the stage that it reads


def test_a_stage_of_another_run_is_found_where_settings_and_inputs_are_equal(tmp_path: Path, config: Numbers) -> None:
    run_stages(STAGES, tmp_path / "run", config)
    folders = [tmp_path / "none" / "01-copy", tmp_path / "run" / "01-copy"]
    other = config.model_copy(update={"seed": 9})
    assert finished_elsewhere(STAGES, "copy", other, folders) == folders[1]
    assert finished_elsewhere(STAGES, "double", other, [tmp_path / "run" / "02-double"]) is None
    config.source.write_text("b")
    assert finished_elsewhere(STAGES, "copy", other, folders) is None


def test_states_tell_content_from_absence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert state_of(file).sha256 == ABSENT
    file.write_text("1")
    state = state_of(file)
    assert state.sha256 == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    record = {"inputs": {str(file): {"sha256": "other", "size": state.size, "modified": state.modified}}}
    assert changed_inputs(record) == []  # equal size and time: not read again
    file.write_text("2")
    os.utime(file, (5, 5))
    assert changed_inputs({"inputs": {str(file): vars(state)}}) == [f"{file} has changed"]
    assert state_of(file, FileState("x", 1, 5 * 10**9)).sha256 == "x"


def _hold(run: Path, config: Numbers, begun: str, end: str) -> None:
    def wait(work: Work[Numbers]) -> None:
        Path(begun).touch()
        while not Path(end).exists():
            pass

    run_stages((Stage("wait", wait),), run, config)


def test_two_processes_do_not_work_in_one_run(tmp_path: Path, config: Numbers) -> None:
    begun, end = tmp_path / "begun", tmp_path / "end"
    process = get_context("fork").Process(target=_hold, args=(tmp_path / "run", config, str(begun), str(end)))
    process.start()
    try:
        while not begun.exists():
            assert process.is_alive()
        with pytest.raises(UserError, match="in use by another process"):
            run_stages(STAGES, tmp_path / "run", config)
    finally:
        end.touch()
        process.join()
    assert process.exitcode == 0


def test_a_stage_of_an_earlier_version_is_refused(tmp_path: Path, config: Numbers) -> None:
    run_stages(STAGES, tmp_path / "run", config)
    (tmp_path / "run" / "01-copy" / "stage.json").write_text(json.dumps({"stage": "01-copy", "seconds": 1}))
    with pytest.raises(UserError, match="made by an earlier version"):
        run_stages(STAGES, tmp_path / "run", config)


def test_a_folder_inside_that_of_the_results_counts_and_results_inside_a_folder_do_not(tmp_path: Path):
    """A scan below the folder of all results had no file that counted, so that a change of it was not seen."""
    scan = tmp_path / "out" / "images" / "ct"
    scan.mkdir(parents=True)
    (scan / "1.dcm").write_bytes(b"one")
    inside = state_of(scan, without=tmp_path / "out")
    assert inside == state_of(scan) != FileState(ABSENT, 0, 0)
    (scan / "results").mkdir()
    (scan / "results" / "mask.nii.gz").write_bytes(b"mask")
    assert state_of(scan, without=scan / "results") == inside
