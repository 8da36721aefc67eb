"""Cohorts as users really bring them: every fault is one clean line, and the exit code is 2."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from malformed_files import SHAPE, cohort, image_file, lobes

Run = Callable[..., tuple[int, list[str]]]


def table(change: Callable[[list[str]], list[str]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        path = made / "scores.csv"
        path.write_text("\n".join(change(path.read_text().splitlines())))
        return made

    return make


def with_regions(change: Callable[[np.ndarray], np.ndarray], **geometry: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        image_file(made / "regions" / "s0.nii.gz", change(lobes()), **geometry)
        return made

    return make


def with_image(voxels: np.ndarray) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        image_file(made / "images" / "s0.nii.gz", voxels)
        return made

    return make


def without(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        path = made / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return made

    return make


# what is wrong -> a cohort to check, and a word that a line must hold
COHORTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no images": (without("images"), "images"),
    "a missing image": (without("images/s0.nii.gz"), "s0"),
    "score 7": (table(lambda rows: [*rows[:-1], "s1,RLL,7"]), "7"),
    "score two": (table(lambda rows: [*rows[:-1], "s1,RLL,two"]), "two"),
    "a region scored twice": (table(lambda rows: [*rows, rows[-1].rpartition(",")[0] + ",5"]), "twice"),
    "unknown columns": (table(lambda rows: ["who,where,how", *rows[1:]]), "column"),
    "an empty table": (lambda t: cohort(t, ""), "scores.csv"),
    "a binary table": (lambda t: cohort(t, b"\xff\xfe\x00PK\x03\x81\x8d"), "scores.csv"),
    "wrong region numbers": (with_regions(lambda labels: labels * 20), "s0"),
    "swapped lobes": (with_regions(lambda labels: np.ascontiguousarray(labels[:, :, ::-1])), "s0"),
    "another grid": (with_regions(lambda labels: labels, Spacing=(2.0, 2.0, 2.0)), "s0"),
    "NaN in a cohort": (with_image(np.where(lobes() == 1, np.nan, -800).astype(np.float32)), "NaN"),
    "not Hounsfield units": (
        with_image(np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.int16)),
        "Hounsfield",
    ),
    "a broken score map": (lambda t: _file(cohort(t), "scores.yaml", "0: [0, "), "scores.yaml"),
}


def _file(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("fault", COHORTS)
def test_a_faulty_cohort(fault: str, tmp_path: Path, weakmask: Run) -> None:
    make, word = COHORTS[fault]
    code, lines = weakmask("check", str(make(tmp_path / "cohort")))
    assert code == 2
    assert any(word.lower() in line.lower() for line in lines), lines
    assert len(lines) <= 4, lines


def test_faults_are_json_also_where_no_scan_is_good(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = cohort(tmp_path / "cohort", "scan,region,score\ns0,LUL,7\ns1,LUL,9")
    command = [sys.executable, "-m", "weakmask", "check", str(folder), "--json"]
    assert subprocess.run(command, check=False).returncode == 2
    found = json.loads(capfd.readouterr().out)
    assert found["scans"] == []
    assert {fault["scan"] for fault in found["faults"]} == {"s0", "s1"}


def test_a_cohort_without_any_table_is_said_to_have_no_weak_labels(tmp_path: Path, weakmask: Run) -> None:
    code, lines = weakmask("check", str(without("scores.csv")(tmp_path / "cohort")))
    assert code == 0
    assert any("scores.csv: no such file, and no labels.csv" in line for line in lines), lines


def test_a_good_cohort_passes(tmp_path: Path, weakmask: Run) -> None:
    code, lines = weakmask("check", str(cohort(tmp_path / "cohort")))
    assert code == 0, lines
