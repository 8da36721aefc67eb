"""Faults that only the voxels show: each costs what it should and is told in one line, and the good scan goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.case import NoUsableScanError
from weakmask.datasets.cohort import check_cohort
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.scoring.severity import severity_table
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.regions import label_sizes
from weakmask.volume.volume import Volume


def test_a_good_cohort_has_no_faults(folder: Any) -> None:
    cohort = check_cohort(folder.path)
    assert cohort.faults == ()
    assert [case.name for case in cohort.cases] == ["good", "odd"]
    assert cohort.cases[1].scores == {1: 0, 2: 1, 3: 2, 4: 0, 5: 0}
    assert cohort.cases[1].truth == folder.path / "lesions" / "odd.nii.gz"


def test_a_cohort_without_masks_is_checked_too(folder: Any) -> None:
    for kind in ("regions", "lesions"):
        for file in (folder.path / kind).iterdir():
            file.unlink()
        (folder.path / kind).rmdir()
    cohort = check_cohort(folder.path)
    assert cohort.faults == ()
    assert cohort.cases[0].regions is None
    assert len(cohort.cases[0].scores) == 5


@pytest.mark.parametrize("kind", ["images", "regions"])
def test_a_file_that_cannot_be_read_costs_its_scan(folder: Any, kind: str) -> None:
    (folder.path / kind / "odd.nii.gz").write_bytes(b"this is no image")
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.file == f"{kind}/odd.nii.gz"
    assert str(folder.path) not in fault.message


def test_a_truth_that_cannot_be_read_costs_the_truth(folder: Any) -> None:
    (folder.path / "lesions" / "odd.nii.gz").write_bytes(b"this is no image")
    fault, cohort = folder.odd_fault()
    assert not fault.fatal
    assert cohort.cases[1].truth is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers(folder: Any, value: float) -> None:
    voxels = folder.ct().astype(np.float32)
    voxels[3, 4, 5] = value
    folder.image(voxels)
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert "NaN or infinite" in fault.message


@pytest.mark.parametrize(
    ("scale", "offset", "dtype"),
    [
        pytest.param(1, 1024, np.int16, id="stored values"),
        pytest.param(255 / 1500, 204, np.uint8, id="8 bit"),
        pytest.param(1 / 1500, 0.8, np.float32, id="windowed"),
    ],
)
def test_what_is_not_in_hounsfield_units(folder: Any, scale: float, offset: float, dtype: type) -> None:
    folder.image((folder.ct() * scale + offset).clip(0).astype(dtype))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.message.startswith("images/odd.nii.gz: not in Hounsfield units (HU): values ")
    assert "rescale slope and intercept" in fault.message
    cohort = check_cohort(folder.path, hounsfield=False)
    assert cohort.faults == ()


def test_padding_outside_the_field_of_view_does_not_hide_stored_values(folder: Any) -> None:
    voxels = folder.ct() + 1024
    voxels[:, :2] = -2000
    folder.image(voxels)
    fault, _ = folder.odd_fault()
    assert "not in Hounsfield units (HU): values -2000 to" in fault.message


def test_an_empty_image(folder: Any) -> None:
    folder.image(np.full(folder.grid.shape, -1000, np.int16))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.message == "images/odd.nii.gz: every voxel is -1000; the image is empty; export it again"


def test_strong_anisotropy_is_only_noted(folder: Any) -> None:
    thick = Geometry(folder.grid.shape, (60.0, 10.0, 12.0))
    folder.image(folder.ct(), geometry=thick)
    folder.regions(folder.lobes(), geometry=thick)
    folder.lesions(folder.truth(), geometry=thick)
    faults = [fault for fault in check_cohort(folder.path).faults if fault.file.startswith("images")]
    assert [fault.message for fault in faults] == [
        "images/odd.nii.gz: voxels of 60 x 10 x 12 mm (z, y, x) are 6.0 times as long as wide; expect coarse masks"
    ]
    assert not faults[0].fatal


def test_lesions_on_another_grid_cost_the_truth(folder: Any) -> None:
    folder.lesions(
        folder.truth()[:, :, 1:], geometry=Geometry((20, 24, 23), folder.grid.spacing_mm, folder.grid.origin_mm)
    )
    fault, cohort = folder.odd_fault()
    assert not fault.fatal
    assert "resample the mask onto the image" in fault.message
    assert cohort.cases[1].truth is None
    assert cohort.cases[1].regions is not None


def test_lesion_labels_nobody_knows_cost_the_truth(folder: Any) -> None:
    folder.lesions(folder.truth() * 2)
    fault, cohort = folder.odd_fault()
    assert fault.message == (
        "lesions/odd.nii.gz: has the labels 2, 6; expected 0 to 3 or just 0 and 1; the truth is not used"
    )
    assert not fault.fatal
    assert cohort.cases[1].truth is None


def test_a_truth_drawn_in_white_is_a_truth(folder: Any) -> None:
    folder.lesions((folder.truth() > 0).astype(np.uint8) * 255)
    assert check_cohort(folder.path).faults == ()


def test_no_lesion_at_all_is_a_truth(folder: Any) -> None:
    folder.lesions(np.zeros(folder.grid.shape, np.uint8))
    cohort = check_cohort(folder.path)
    assert cohort.faults == ()
    assert cohort.cases[1].truth is not None


def test_pictures_are_legal_and_said_to_be_no_hounsfield_units(tmp_path: Path) -> None:
    path = tmp_path / "cohort"
    for kind in ("images", "regions", "lesions"):
        (path / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (30, 40), np.uint8)).save(path / "images" / f"{name}.jpg")
        regions = np.ones((30, 40), np.uint8)
        regions[15:] = 2
        Image.fromarray(regions).save(path / "regions" / f"{name}.png")
        Image.fromarray((regions == 1).astype(np.uint8) * 255).save(path / "lesions" / f"{name}.png")
    (path / "scores.csv").write_text("scan,region,score\na,1,0\na,2,1\nb,1,3\nb,2,2\n")
    cohort = check_cohort(path)
    assert [case.name for case in cohort.cases] == ["a", "b"]
    assert len(cohort.faults) == 1
    assert cohort.faults[0].message == (
        "images/a.jpg and 1 more are pictures, not in Hounsfield units; set `prepare.window` in the config to their "
        "grey values, [0, 255] for example, or `prepare.grey_values: picture` for slices of CT"
    )
    assert not cohort.faults[0].fatal


def test_a_single_slice_without_hounsfield_units_is_only_noted(tmp_path: Path) -> None:
    path = tmp_path / "cohort"
    voxels = np.random.default_rng(0).integers(0, 255, (1, 30, 40)).astype(np.uint8)
    write_volume(Volume(voxels, Geometry(voxels.shape)), path / "images" / "a.nii.gz")
    write_volume(Volume(np.ones_like(voxels), Geometry(voxels.shape), "label"), path / "regions" / "a.nii.gz")
    (path / "scores.csv").write_text("scan,image\na,1\n")
    cohort = check_cohort(path)
    assert len(cohort.cases) == 1
    assert "not in Hounsfield units" in cohort.faults[0].message
    assert not cohort.faults[0].fatal


def test_a_cohort_of_which_nothing_is_left(folder: Any) -> None:
    for scan in ("good", "odd"):
        folder.image(np.zeros(folder.grid.shape, np.int16), scan)
    with pytest.raises(NoUsableScanError, match=r"no scan can be used \(2 faults\).*every voxel is 0") as caught:
        check_cohort(folder.path)
    assert len(caught.value.faults) == 2


def test_table_faults_and_voxel_faults_come_together(folder: Any) -> None:
    folder.table("scan,LUL,LLL,RUL,RML,RLL\ngood,0,1,0,0,0\nodd,0,1,2,0,\n")
    folder.image(np.zeros(folder.grid.shape, np.int16))
    cohort = check_cohort(folder.path)
    assert [fault.file for fault in cohort.faults] == ["scores.csv", "images/odd.nii.gz"]
    assert [case.name for case in cohort.cases] == ["good"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_label_sizes_are_plain_counts(dtype: type) -> None:
    labels = np.random.default_rng(0).integers(0, 7, (4, 5, 6)).astype(dtype)
    plain = {label: int((labels == label).sum()) for label in range(1, 7)}
    assert label_sizes(labels) == plain
    if dtype is not np.uint8:
        labels[0, 0, 0], labels[0, 0, 1] = -5, np.iinfo(dtype).max
        sizes = label_sizes(labels)
        assert sizes[-5] == 1
        assert sizes[int(np.iinfo(dtype).max)] == 1
    assert label_sizes(np.zeros((2, 2, 2), dtype)) == {}


def test_phantoms_make_a_good_cohort_and_their_truth_gives_their_scores(tmp_path: Path) -> None:
    path = tmp_path / "cohort"
    write_phantom_cohort(path, scans=2, seed=3, shape=(64, 77, 77), spacing_mm=(5.0, 5.0, 5.0), workers=1)
    cohort = check_cohort(path)
    assert cohort.faults == ()
    for case in cohort.cases:
        assert case.regions is not None
        assert case.truth is not None
        truth, regions = read_volume(case.truth, "label"), read_volume(case.regions, "label")
        table = severity_table(truth, regions, cohort.region_names, cohort.score_map)
        assert dict(zip(table["label"], table["score"], strict=True)) == case.scores


@pytest.mark.real_data
def test_real_slices_with_their_scores(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = real_data("covid_semiseg")
    path = tmp_path / "cohort"
    path.mkdir()
    for kind in ("images", "regions"):
        (path / kind).symlink_to(source / "train_expert" / kind)
    (path / "lesions").symlink_to(source / "train_expert" / "masks")
    (path / "scores.csv").write_text((source / "scores_expert.csv").read_text())
    cohort = check_cohort(path)
    assert len(cohort.cases) == 50
    assert all(case.truth is not None and len(case.scores) == 2 for case in cohort.cases)
    assert [fault.fatal for fault in cohort.faults] == [False]
