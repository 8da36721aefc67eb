"""A stage is complete or absent, resumes after an interruption, and leaves a record."""

import json
from pathlib import Path

import pytest

from weakmask.config import Settings
from weakmask.errors import MachineError, UserError
from weakmask.pipeline import Stage, Work, read_manifest, run_stages


class Numbers(Settings):
    seed: int = 3
    steps: int = 1


def write_one(work: Work) -> None:
    (work.out / "one.txt").write_text("1")
    work.note("one was written")


def read_one(work: Work) -> None:
    work.hash_input(work.stage("write") / "one.txt")
    (work.out / "two.txt").write_text((work.stage("write") / "one.txt").read_text() * 2)


WRITE, READ = Stage("write", write_one), Stage("read", read_one, after=("write",))


def test_stages_leave_folders_a_config_and_a_manifest(tmp_path: Path) -> None:
    run_stages((WRITE, READ), tmp_path / "run", Numbers())
    assert (tmp_path / "run" / "02-read" / "two.txt").read_text() == "11"
    manifest = read_manifest(tmp_path / "run")
    assert [stage["stage"] for stage in manifest["stages"]] == ["01-write", "02-read"]
    assert manifest["notes"] == ["one was written"]
    assert manifest["seed"] == 3
    digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"  # of "1"
    assert digest in manifest["inputs"].values()
    assert not [file for file in (tmp_path / "run").iterdir() if file.name.startswith(".")]


def test_a_note_is_printed_once_and_a_stage_that_is_off_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unused = Stage("unused", lambda work: work.note("one was written"), off=lambda config: config.seed == 3)
    for _ in range(2):
        run_stages((WRITE, unused), tmp_path / "run", Numbers())
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert lines.count(["note", "one", "was", "written"]) == 1
    assert [line for line in lines if line[0] != "note"] == [
        ["stage", "01-write"],
        ["off", "02-unused"],
        ["have", "01-write"],
        ["off", "02-unused"],
    ]
    for stage in ("01-write", "02-unused"):
        record = json.loads((tmp_path / "run" / stage / "stage.json").read_text(encoding="utf-8"))
        assert record["notes"] == ["one was written"]


def test_a_stage_that_fails_leaves_nothing_and_the_next_run_goes_on(tmp_path: Path) -> None:
    calls = []

    def fail_once(work: Work) -> None:
        calls.append(sorted(p.name for p in work.out.iterdir()))
        (work.out / "half.txt").write_text("half")
        if len(calls) == 1:
            raise RuntimeError("power cut")

    stages = (WRITE, Stage("fails", fail_once))
    with pytest.raises(RuntimeError, match="power cut"):
        run_stages(stages, tmp_path, Numbers())
    assert (tmp_path / "01-write").exists()
    assert not (tmp_path / "02-fails").exists()
    run_stages(stages, tmp_path, Numbers())
    assert calls == [[], []]  # what was half-written had been swept away
    assert (tmp_path / "02-fails" / "half.txt").exists()


def test_a_resumable_stage_finds_what_it_had(tmp_path: Path) -> None:
    found = []

    def train(work: Work) -> None:
        found.append((work.out / "checkpoint").exists())
        (work.out / "checkpoint").touch()
        if len(found) == 1:
            raise RuntimeError("killed")

    stages = (Stage("train", train, resumable=True),)
    with pytest.raises(RuntimeError, match="killed"):
        run_stages(stages, tmp_path, Numbers())
    run_stages(stages, tmp_path, Numbers())
    assert found == [False, True]


def test_finished_stages_are_not_run_again(tmp_path: Path) -> None:
    run_stages((WRITE,), tmp_path, Numbers())
    before = (tmp_path / "01-write" / "one.txt").stat().st_mtime_ns
    run_stages((WRITE, READ), tmp_path, Numbers())
    assert (tmp_path / "01-write" / "one.txt").stat().st_mtime_ns == before


def test_a_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    run_stages((WRITE,), tmp_path, Numbers())
    with pytest.raises(UserError, match=r"other settings: steps \(1 there, 2 here\)"):
        run_stages((WRITE,), tmp_path, Numbers(steps=2))


def test_a_folder_that_is_no_run_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not empty and is not a run"):
        run_stages((WRITE,), tmp_path, Numbers())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.tex"]
    with pytest.raises(UserError, match=r"no readable manifest\.json"):
        read_manifest(tmp_path)


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot write to"):
        run_stages((WRITE,), tmp_path / "file" / "run", Numbers())


def test_a_folder_of_slices_is_hashed_whole(tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.mkdir()
    digests = []
    for content in ("a", "b"):
        (series / "0.dcm").write_text("same")
        (series / "1.dcm").write_text(content)
        work = Work(tmp_path, tmp_path, None)
        work.hash_input(series)
        digests.append(work.inputs[str(series)].sha256)
    assert digests[0] != digests[1]


def test_the_stage_record_is_plain_json(tmp_path: Path) -> None:
    run_stages((WRITE,), tmp_path, Numbers())
    record = json.loads((tmp_path / "01-write" / "stage.json").read_text())
    assert record["seconds"] >= 0
    assert record["peak_memory_mb"] > 1
