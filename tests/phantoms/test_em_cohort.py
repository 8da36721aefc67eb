"""A cohort of electron microscopy phantoms is a cohort like any other, and refuses nonsense before any work."""

import json
from pathlib import Path

import numpy as np
import pytest

from weakmask.datasets.cohort import check_cohort
from weakmask.errors import UserError
from weakmask.phantoms.em_cohort import write_em_cohort
from weakmask.volume.files import read_volume

SHAPE, SPACING_NM = (6, 64, 64), (30.0, 16.0, 16.0)


def test_the_check_finds_nothing_and_the_truth_is_instances(tmp_path: Path):
    write_em_cohort(tmp_path / "c", 2, 3, SHAPE, SPACING_NM, "easy", workers=1)
    cohort = check_cohort(tmp_path / "c", hounsfield=False)
    assert [case.name for case in cohort.cases] == ["phantom_3_0000", "phantom_3_0001"]
    assert {case.truth_kind for case in cohort.cases} == {"instances"}
    assert not [fault for fault in cohort.faults if fault.fatal]
    image = read_volume(cohort.cases[0].image)
    np.testing.assert_allclose(np.array(image.geometry.spacing_mm) * 1e6, SPACING_NM, rtol=1e-5)
    assert json.loads((tmp_path / "c" / "phantom.json").read_text())["style"] == "easy"
    write_em_cohort(tmp_path / "d", 1, 3, SHAPE, SPACING_NM, "easy", workers=1)
    again = read_volume(tmp_path / "d" / "images" / "phantom_3_0000.nii.gz")
    assert np.array_equal(again.voxels, image.voxels)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style": "hard"}, "the style is hard; expected one of plain, easy, noisy"),
        ({"stacks": 0}, "the number of stacks is 0"),
        ({"spacing_nm": (30.0, 0.01, 8.0)}, "voxels of 30 0.01 8 nm"),
        ({"shape": (0, 8, 8)}, "a stack of 0 8 8 voxels"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, changes: dict[str, object], words: str):
    arguments: dict = {"stacks": 1, "seed": 0, "shape": SHAPE, "spacing_nm": SPACING_NM, **changes}
    with pytest.raises(UserError, match=words):
        write_em_cohort(tmp_path / "c", **arguments)
    assert not (tmp_path / "c").exists()


def test_a_folder_with_files_is_kept(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="is not an empty folder"):
        write_em_cohort(tmp_path, 1, 0, SHAPE, SPACING_NM)
