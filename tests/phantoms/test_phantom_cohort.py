"""The folder of phantoms: its layout, the same whatever the number of workers, never over something else."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weakmask.datasets.cohort import read_cohort
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import LOBES, make_phantom, write_phantom_cohort
from weakmask.scoring.severity import CT_SEVERITY, region_fractions
from weakmask.volume.files import read_volume

SHAPE, SPACING = (40, 48, 48), (8.0, 8.0, 8.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohorts") / "phantoms"
    folder.mkdir()  # an empty folder is taken
    write_phantom_cohort(folder, 3, 5, SHAPE, SPACING, reader_noise=0.5, workers=1)
    return folder


def test_layout(folder):
    names = [f"phantom_5_{k:04d}" for k in range(3)]
    for place in ("images", "regions", "truth", "anatomy/vessels", "anatomy/airways"):
        assert sorted(path.name for path in (folder / place).iterdir()) == [f"{name}.nii.gz" for name in names]
    table = pd.read_csv(folder / "scores.csv")
    assert list(table.columns) == ["scan", "region", "score"]
    assert list(table["region"][:5]) == list(LOBES)
    assert len(table) == 15
    recipe = json.loads((folder / "phantom.json").read_text())
    assert recipe["seed"] == 5
    assert recipe["shape"] == list(SHAPE)
    assert recipe["spacing_mm"] == list(SPACING)
    assert list(recipe["scans"]) == names
    assert sorted(path.name for path in folder.parent.iterdir()) == ["phantoms"]  # nothing half-written stays


def test_scores_agree_with_the_masks_before_the_reader_errs(folder):
    true = pd.read_csv(folder / "scores_true.csv").pivot_table(index="scan", columns="region", values="score")
    read = pd.read_csv(folder / "scores.csv").pivot_table(index="scan", columns="region", values="score")
    for scan in true.index:
        lesions = read_volume(folder / "truth" / f"{scan}.nii.gz", "label").voxels
        regions = read_volume(folder / "regions" / f"{scan}.nii.gz", "label").voxels
        fractions = region_fractions(lesions, regions, list(LOBES.values()))
        for lobe, label in LOBES.items():
            assert CT_SEVERITY.score_of(fractions[label]) == true.loc[scan, lobe]
    off = (read - true).to_numpy()
    assert np.abs(off).max() == 1


def test_the_cohort_reader_takes_it_without_a_fault(folder):
    cohort = read_cohort(folder)
    assert not cohort.faults
    assert [case.name for case in cohort.cases] == ["phantom_5_0000", "phantom_5_0001", "phantom_5_0002"]
    assert set(cohort.cases[0].scores) == set(LOBES.values())


def test_a_scan_is_the_phantom_of_its_seed(folder):
    recipe = json.loads((folder / "phantom.json").read_text())
    phantom = make_phantom(recipe["scans"]["phantom_5_0001"], SHAPE, SPACING)
    written = read_volume(folder / "images" / "phantom_5_0001.nii.gz")
    assert np.array_equal(written.voxels, phantom.image.voxels)
    assert written.geometry.same_grid(phantom.image.geometry)


def test_neither_workers_nor_the_number_of_scans_change_a_scan(folder, tmp_path):
    write_phantom_cohort(tmp_path / "two", 2, 5, SHAPE, SPACING, workers=2)
    for place in ("images", "truth", "anatomy/vessels"):
        for name in ("phantom_5_0000", "phantom_5_0001"):
            first = read_volume(folder / place / f"{name}.nii.gz").voxels
            assert np.array_equal(read_volume(tmp_path / "two" / place / f"{name}.nii.gz").voxels, first)
    assert not (tmp_path / "two" / "scores_true.csv").exists()
    ours = pd.read_csv(tmp_path / "two" / "scores.csv")
    assert ours.equals(pd.read_csv(folder / "scores_true.csv")[: len(ours)])


def test_nothing_is_overwritten_and_nonsense_is_refused(folder, tmp_path):
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match="exists"):
        write_phantom_cohort(folder, 1, 0, SHAPE, SPACING, workers=1)
    assert sorted(folder.rglob("*")) == before
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UserError, match="exists"):
        write_phantom_cohort(file, 1, 0, SHAPE, SPACING, workers=1)
    for arguments in ({"scans": 0}, {"seed": -1}, {"reader_noise": 1.5}):
        with pytest.raises(UserError, match="expected"):
            write_phantom_cohort(tmp_path / "new", **{"scans": 1, "seed": 0, "reader_noise": 0.0, **arguments})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("shape", "spacing", "words"),
    [
        ((-1, 0, 48), SPACING, r"a scan of -1 0 48 voxels \(--size\); expected at least 1 a side"),
        ((100_000, 100_000, 100_000), SPACING, "expected at least 1 a side and at most 134,217,728"),
        (SHAPE, (float("nan"), float("inf"), 0.0), r"voxels of nan inf 0 mm \(--spacing\); expected 0.2 to 20 mm each"),
        (SHAPE, (-7.0, 7.0, 7.0), "voxels of -7 7 7 mm"),
        ((8, 8, 8), (2.0, 2.0, 2.0), r"a scan of 16 x 16 x 16 mm .*; a chest needs 240 x 200 x 240 mm"),
    ],
)
def test_a_grid_without_a_chest_is_refused(
    tmp_path: Path, shape: tuple[int, int, int], spacing: tuple[float, float, float], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        write_phantom_cohort(tmp_path / "new", 1, 0, shape, spacing, workers=1)
    with pytest.raises(UserError, match="expected 1 to 100,000"):
        write_phantom_cohort(tmp_path / "new", 10**9, 0, SHAPE, SPACING, workers=1)
    assert not (tmp_path / "new").exists()
