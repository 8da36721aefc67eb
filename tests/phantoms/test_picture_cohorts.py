"""Cohorts of pictures: their layout, the same whatever the number of workers, never over something else."""

import json
from pathlib import Path

import numpy as np
import pytest

from weakmask.datasets.cohort import check_cohort
from weakmask.errors import UserError
from weakmask.phantoms.chest_xray import make_xray
from weakmask.phantoms.photographs import CLASSES
from weakmask.phantoms.picture_cohorts import write_photograph_cohort, write_xray_cohort
from weakmask.volume.files import read_volume


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs") / "cohort"
    write_photograph_cohort(folder, 6, 3, side_px=64, workers=1)
    return folder


def test_labels_are_what_the_truth_shows(photographs: Path) -> None:
    cohort = check_cohort(photographs)
    assert [fault.message for fault in cohort.faults if fault.fatal] == []
    assert cohort.classes == CLASSES
    for case in cohort.cases:
        assert case.truth is not None
        truth = read_volume(case.truth, "label").voxels[0]
        assert case.presence[None] == {name: bool((truth == k).any()) for k, name in enumerate(CLASSES, start=1)}
        assert case.truth_kind == "classes"
        assert truth.shape == (64, 64)


def test_neither_workers_nor_the_number_of_pictures_change_one(photographs: Path, tmp_path: Path) -> None:
    write_photograph_cohort(tmp_path / "two", 2, 3, side_px=64, workers=2)
    for path in (tmp_path / "two").glob("*/*.png"):
        assert path.read_bytes() == (photographs / path.relative_to(tmp_path / "two")).read_bytes()


def test_a_share_of_the_x_rays_has_a_pneumothorax(tmp_path: Path) -> None:
    folder = tmp_path / "xrays"
    write_xray_cohort(folder, 3, 5, side_px=48, positives=0.5, size=2.0, workers=1)
    cohort = check_cohort(folder, hounsfield=False)
    assert [case.presence[None] for case in cohort.cases] == [{"pneumothorax": k == 1} for k in range(3)]
    assert {case.truth_kind for case in cohort.cases} == {"binary"}
    recipe = json.loads((folder / "phantom.json").read_text())
    assert (recipe["positives"], recipe["size"], recipe["side_px"]) == (0.5, 2.0, 48)
    name = cohort.cases[1].name
    made = make_xray(recipe["images"][name], 48, pneumothorax=True, size=2.0)
    assert np.array_equal(read_volume(cohort.cases[1].image).voxels[0], made.image)


def test_a_full_folder_and_numbers_out_of_range_are_refused(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not an empty folder"):
        write_photograph_cohort(photographs, 1, 0)
    with pytest.raises(UserError, match="a side of 8 pixels; expected 32"):
        write_photograph_cohort(tmp_path / "new", 1, 0, side_px=8)
    with pytest.raises(UserError, match=r"positives 1\.5"):
        write_xray_cohort(tmp_path / "new", 1, 0, positives=1.5)
    assert not (tmp_path / "new").exists()
