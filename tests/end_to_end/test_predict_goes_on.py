"""`weakmask predict` goes on: what is done is not computed again, what has changed is, and a kill loses nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from malformed_files import cohort
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.inference.scan_record import read_record
from weakmask.prediction import Prediction, Scan
from weakmask.region_learning.segmenter import RegionSegmenter
from weakmask.volume.files import read_volume, write_volume

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A cohort of two scans, s0 and s1, with regions."""
    return cohort(tmp_path / "cohort")


@pytest.fixture
def segmented(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the scans that are segmented, as it happens."""
    names: list[str] = []
    real = RegionSegmenter.segment

    def counted(self: RegionSegmenter, scan: Scan) -> Prediction:
        names.append(scan.name)
        return real(self, scan)

    monkeypatch.setattr(RegionSegmenter, "segment", counted)
    return names


def again(segmented: list[str], weakmask: Run, *words: object) -> list[str]:
    """The scans that a command segments."""
    segmented.clear()
    code, lines = weakmask(*words)
    assert code == 0, lines
    return sorted(segmented)


def brighter(file: Path) -> None:
    """Change a scan in its place."""
    image = read_volume(file)
    write_volume(image.with_voxels(image.voxels + np.int16(1)), file)


def without_a_voxel(file: Path) -> None:
    """Take a voxel out of a region mask in its place."""
    regions = read_volume(file, "label")
    labels = regions.voxels.copy()
    labels[tuple(np.argwhere(labels)[0])] = 0
    write_volume(regions.with_voxels(labels), file)


def test_only_what_has_changed_is_computed_again(
    model: Path, untrained: Callable[[float], Path], scans: Path, tmp_path: Path, weakmask: Run, segmented: list[str]
) -> None:
    out, images, regions = tmp_path / "out", scans / "images", scans / "regions"
    command = ["predict", model, images, "--regions", regions, "-o", out]
    assert again(segmented, weakmask, *command) == ["s0", "s1"]
    table = (out / "scores.csv").read_bytes()
    (out / "scores.csv").unlink()
    (out / "report.html").unlink()
    assert again(segmented, weakmask, *command) == []
    assert (out / "scores.csv").read_bytes() == table
    assert "s1" in (out / "report.html").read_text(encoding="utf-8")
    os.utime(images / "s0.nii.gz")  # the same content at another time
    assert again(segmented, weakmask, *command) == []
    brighter(images / "s0.nii.gz")
    assert again(segmented, weakmask, *command) == ["s0"]
    without_a_voxel(regions / "s1.nii.gz")
    assert again(segmented, weakmask, *command) == ["s1"]
    assert again(segmented, weakmask, *command, "--precision", "float32") == ["s0", "s1"]
    other = ["predict", untrained(0.2), *command[2:]]
    assert again(segmented, weakmask, *other) == ["s0", "s1"]
    (out / "s1" / "mask.nii.gz").unlink()
    assert again(segmented, weakmask, *other) == ["s1"]


def test_results_in_the_folder_of_the_scans_do_not_change_the_scans(
    model: Path, scans: Path, weakmask: Run, segmented: list[str]
) -> None:
    command = ["predict", model, scans / "images", "--regions", scans / "regions", "-o", scans / "images" / "out"]
    first = scans / "images" / "s0.nii.gz"
    only = ["predict", model, first, *command[3:]]
    assert again(segmented, weakmask, *only) == ["s0"]
    assert again(segmented, weakmask, *only) == []


def test_a_mask_that_a_user_corrected_is_kept(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    out = tmp_path / "out"
    command = ["predict", model, scans / "images", "--regions", scans / "regions", "-o", out]
    assert weakmask(*command)[0] == 0
    mask, notes = out / "s0" / "mask.nii.gz", out / "s0" / "notes.txt"
    corrected = read_volume(mask, "label")
    write_volume(corrected.with_voxels(np.ones_like(corrected.voxels)), mask)
    notes.write_text("seen", encoding="utf-8")
    content = mask.read_bytes()
    for number in (0, 1):
        brighter(scans / "images" / f"s{number}.nii.gz")
    code, lines = weakmask(*command)
    assert code == 2
    assert any(f"{mask}: was changed after it was written, and a new result would replace it" in line for line in lines)
    assert mask.read_bytes() == content
    mask.rename(tmp_path / "kept.nii.gz")
    assert weakmask(*command)[0] == 0
    assert (notes.read_text(encoding="utf-8"), mask.exists()) == ("seen", True)


def test_the_record_and_the_lines_for_a_scheduler(model: Path, scans: Path, tmp_path: Path) -> None:
    (scans / "images" / "s2.nii.gz").write_bytes(b"no image")
    command = ["predict", model, scans / "images", "--regions", scans / "regions", "-o", tmp_path / "out", "--json"]
    for state in ("done", "had"):
        ran = CliRunner().invoke(app, [str(word) for word in command], catch_exceptions=False)
        assert ran.exit_code == 2
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [(line["scan"], line["state"]) for line in lines] == [("s0", state), ("s1", state), ("s2", "left out")]
        assert [value["region"] for value in lines[0]["values"]] == ["LUL", "LLL", "RUL", "RML", "RLL"]
        assert "s2.nii.gz" in lines[2]["error"]
    record = read_record(tmp_path / "out" / "s0")
    assert record is not None
    assert sorted(record.files) == ["activation.nii.gz", "mask.nii.gz", "preview.webp", "regions.nii.gz"]
    assert record.severity == sum(row["score_predicted"] for row in record.rows)


def test_statistics_have_a_row_for_the_scan(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    out = tmp_path / "out"
    assert weakmask("predict", model, scans / "images", "--regions", scans / "regions", "-o", out)[0] == 0
    table = pd.read_csv(out / "statistics.csv")
    assert table["region"].tolist() == 2 * ["LUL", "LLL", "RUL", "RML", "RLL", "all"]
    regions = read_volume(out / "s0" / "regions.nii.gz", "label")
    whole = np.count_nonzero(regions.voxels) * regions.geometry.voxel_volume_mm3 / 1000
    assert table["region_ml"].iloc[5] == pytest.approx(whole, abs=1e-3)


def test_pages_to_scroll_in_are_added_without_computing_and_linked(
    model: Path, scans: Path, tmp_path: Path, weakmask: Run, segmented: list[str]
) -> None:
    out = tmp_path / "out"
    command = ["predict", model, scans / "images", "--regions", scans / "regions", "-o", out]
    assert again(segmented, weakmask, *command) == ["s0", "s1"]
    assert again(segmented, weakmask, "view", out / "s0", "--no-open") == []
    assert [path.parent.name for path in out.glob("*/view.html")] == ["s0"]
    assert again(segmented, weakmask, *command, "--viewer") == []
    assert "LUL" in (out / "s1" / "view.html").read_text(encoding="utf-8")
    report = (out / "report.html").read_text(encoding="utf-8")
    assert [f'href="s{number}/view.html"' in report for number in (0, 1)] == [True, True]
    (out / "s1" / "view.html").unlink()
    assert again(segmented, weakmask, *command) == []
    brighter(scans / "images" / "s0.nii.gz")
    assert again(segmented, weakmask, *command) == ["s0"]
    assert not (out / "s0" / "view.html").exists()  # of another mask
    mask, page = out / "s1" / "mask.nii.gz", tmp_path / "page.html"
    image = scans / "images" / "s1.nii.gz"
    assert weakmask("view", mask, "--image", image, "--truth", mask, "-o", page, "--no-open") == (0, [])
    assert "<title>mask</title>" in page.read_text(encoding="utf-8")
    assert "no result of `weakmask predict`" in weakmask("view", scans / "images", "--no-open")[1][0]


def records_in(out: Path) -> dict[str, bytes]:
    """Name of a scan -> the record of its result."""
    return {file.parent.name: file.read_bytes() for file in out.glob("[!.]*/scan.json")}


def killed(command: list[object], out: Path, after: int, seconds: float = 0.0) -> None:
    """Run a command in a process of its own and kill it some time after some results are there."""
    process = subprocess.Popen([sys.executable, "-m", "weakmask", *map(str, command)], stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.glob("[!.]*/scan.json"))) < after:
        time.sleep(0.01)
    time.sleep(seconds)
    assert process.poll() is None  # it has not ended before
    process.send_signal(signal.SIGKILL)
    process.wait()


def many(scans: Path, folder: Path, number: int) -> Path:
    """A folder with copies of a scan, and their regions in the cohort."""
    folder.mkdir()
    for place in range(number):
        shutil.copy(scans / "images" / "s0.nii.gz", folder / f"t{place:02}.nii.gz")
        shutil.copy(scans / "regions" / "s0.nii.gz", scans / "regions" / f"t{place:02}.nii.gz")
    return folder


@pytest.mark.parametrize(
    ("number", "kills"), [(6, (2,)), pytest.param(24, (1, 2, 4, 7, 9, 12, 15, 18, 20, 22), marks=pytest.mark.slow)]
)
def test_killed_at_any_moment_it_goes_on_to_the_tables_of_an_unbroken_run(
    number: int,
    kills: tuple[int, ...],
    model: Path,
    scans: Path,
    tmp_path: Path,
    weakmask: Run,
    segmented: list[str],
) -> None:
    images, out, unbroken = many(scans, tmp_path / "many", number), tmp_path / "out", tmp_path / "unbroken"
    command: list[object] = ["predict", model, images, "--regions", scans / "regions", "-o"]
    done: dict[str, bytes] = {}
    for turn, after in enumerate(kills):
        killed([*command, out], out, after, seconds=0.02 * turn)  # in all parts of the work on a scan
        found = records_in(out)
        assert found.items() >= done.items()  # no scan is done again
        done = found
    assert kills[-1] <= len(done) < number
    assert again(segmented, weakmask, "report", out) == []
    assert pd.read_csv(out / "scores.csv")["scan"].nunique() == len(done)
    missing = sorted({f"t{place:02}" for place in range(number)} - set(done))
    assert again(segmented, weakmask, *command, out) == missing
    assert records_in(out).items() >= done.items()
    assert weakmask(*command, unbroken)[0] == 0
    for table in ("scores.csv", "statistics.csv"):
        assert (out / table).read_bytes() == (unbroken / table).read_bytes()
    assert not list(out.glob(".*"))
