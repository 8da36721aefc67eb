"""Real lobes go through every numbering and come back by name, none exchanged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from weakmask.anatomy.lobe_faults import lobe_faults
from weakmask.anatomy.lobe_numberings import NUMBERINGS, renumber
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume

LOBES = NUMBERINGS["weakmask"]
OF_LOBES = [name for name, numbering in NUMBERINGS.items() if numbering.keys() == LOBES.keys()]
CHECKED = {  # as the tools' own documentation numbers them
    "lungmask": (1, 2, 3, 4, 5),
    "rtsu": (1, 2, 3, 5, 4),
    "totalsegmentator": (10, 11, 12, 13, 14),
}


@pytest.fixture(scope="module")
def template(real_data: Callable[[str], Path]) -> Volume:
    whole = read_volume(real_data("lung_template") / "lung_template_lobe.nii.gz", kind="label")
    spacing = tuple(3 * s for s in whole.geometry.spacing_mm)
    voxels = whole.voxels[::3, ::3, ::3]
    geometry = type(whole.geometry)(voxels.shape, spacing, whole.geometry.origin_mm, whole.geometry.direction)
    return Volume(voxels, geometry, "label")


@pytest.mark.parametrize("name", CHECKED)
def test_the_numbers_of_the_tools(name: str) -> None:
    assert tuple(NUMBERINGS[name][lobe] for lobe in ("LUL", "LLL", "RUL", "RML", "RLL")) == CHECKED[name]


@pytest.mark.real_data
@pytest.mark.parametrize("name", OF_LOBES)
def test_the_average_adult_lung_comes_back_by_name(template: Volume, name: str) -> None:
    theirs = np.zeros(template.voxels.shape, np.int16)
    for lobe, label in LOBES.items():
        theirs[template.voxels == label] = NUMBERINGS[name][lobe]
    back = renumber(template.with_voxels(theirs), name)
    assert np.array_equal(back.voxels, template.voxels)
    assert lobe_faults(back) == []
