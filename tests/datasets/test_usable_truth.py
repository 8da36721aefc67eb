"""Which truth can be used: labels of the declared kind, on the image's grid, whole numbers."""

from pathlib import Path

import numpy as np
import pytest

from weakmask.datasets.case import Case, TruthKind
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

GRID = Geometry((2, 3, 4), (2.0, 1.0, 1.0))


def case(folder: Path, labels: list[float], kind: TruthKind, grid: Geometry = GRID) -> Case:
    voxels = np.zeros(grid.shape, np.float32 if any(label % 1 for label in labels) else np.int32)
    voxels.ravel()[: len(labels)] = labels
    write_volume(Volume(voxels, grid, "label"), folder / "truth.nii.gz")
    return Case("a", folder / "image.nii.gz", None, folder / "truth.nii.gz", {}, truth_kind=kind)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("binary", []),
        ("binary", [1]),
        ("binary", [255]),
        ("subtypes", [1, 2, 3]),
        ("subtypes", [255]),
        ("classes", [1, 20, 254, 255]),
        ("instances", [1, 70_000]),
    ],
)
def test_labels_of_the_kind_are_kept_as_they_are(tmp_path: Path, kind: TruthKind, labels: list[float]) -> None:
    truth = usable_truth(case(tmp_path, labels, kind), GRID)
    assert truth is not None
    assert sorted(set(truth.voxels.ravel().tolist()) - {0}) == labels


@pytest.mark.parametrize(
    ("kind", "labels", "words"),
    [
        ("binary", [2], "has the labels 2; expected just 0 and 1"),
        ("binary", [1, 255], "has the labels 1, 255; expected just 0 and 1"),
        ("subtypes", [1, 4], "has the labels 1, 4; expected 0 to 3 or just 0 and 1"),
        ("classes", [256], "has the labels 256; expected 0 to 254, and 255 to ignore"),
        ("instances", [-1], "has the labels -1; expected 0 outside and positive numbers"),
        ("classes", [0.5], "whole numbers"),
    ],
)
def test_other_labels_are_refused_in_one_line(tmp_path: Path, kind: TruthKind, labels: list[float], words: str) -> None:
    with pytest.raises(UserError) as caught:
        usable_truth(case(tmp_path, labels, kind), GRID)
    assert words in str(caught.value)
    assert str(caught.value).endswith("; the truth is not used")
    assert "\n" not in str(caught.value)


def test_another_grid_is_refused_and_a_rounded_one_becomes_the_image_s(tmp_path: Path) -> None:
    rounded = Geometry(GRID.shape, (2.0, 1.0, 1.0 + 1e-7))
    truth = usable_truth(case(tmp_path, [1], "binary", rounded), GRID)
    assert truth is not None
    assert truth.geometry == GRID
    with pytest.raises(UserError, match=r"grid 2 x 3 x 5 .* resample the mask onto the image; the truth is not used"):
        usable_truth(case(tmp_path, [1], "binary", Geometry((2, 3, 5), (2.0, 1.0, 1.0))), GRID)


def test_no_truth_is_none() -> None:
    assert usable_truth(Case("a", Path("a.nii"), None, None, {}), GRID) is None
