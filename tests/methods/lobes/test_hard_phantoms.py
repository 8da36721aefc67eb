"""The test scans of lobe networks: made once, of four kinds, and measured with a model."""

import shutil
from pathlib import Path

import pytest

from weakmask.methods.lobes import hard_phantoms
from weakmask.methods.lobes.hard_phantoms import NUMBERS, PARTS, SUBSETS, phantom_results, write_test_scans
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.volume.files import read_volume

EDGE_MM = 7.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hard") / "test"
    write_test_scans(made, 1, (EDGE_MM, EDGE_MM, EDGE_MM))
    return made


def test_a_scan_of_each_kind_is_made_once(folder: Path) -> None:
    kinds = [name.replace(" ", "-") for name in SUBSETS]
    expected = {f"{kind}_00_{part}.nii.gz" for kind in kinds for part in PARTS}
    assert {file.name for file in folder.iterdir()} == expected
    plain, noisy = (read_volume(folder / f"{kind}_00_image.nii.gz").voxels for kind in ("lesions", "noise"))
    assert 50 < (noisy.astype(float) - plain).std() < 70
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    write_test_scans(folder, 2, (EDGE_MM, EDGE_MM, EDGE_MM))
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_a_model_gets_a_line_per_scan(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard_phantoms, "TIMED", 1)
    for kind in ("healthy", "thick-slices"):
        for part in PARTS:
            shutil.copy(folder / f"{kind}_00_{part}.nii.gz", tmp_path)
    table = phantom_results(tmp_path, load_lobe_model(None, "cpu"))
    assert list(table.columns) == ["subset", "scan", *NUMBERS]
    assert table["subset"].tolist() == ["healthy", "thick slices"]
    assert min(table["mean"]) > 0.5  # the shipped model, in voxels three times as large as those it learnt from
    assert len(set(table["seconds_per_scan"])) == 1
    assert min(table["parameters"]) > 1000
