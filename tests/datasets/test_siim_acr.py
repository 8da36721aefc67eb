"""SIIM-ACR: DICOM files in any folders, a table of run-length masks, and the cohort that they make."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.run_length import SIDE, encode
from weakmask.datasets.siim_acr import read_siim_acr
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.volume.files import read_volume


def mask(rows: slice, columns: slice) -> np.ndarray:
    found = np.zeros((SIDE, SIDE), bool)
    found[rows, columns] = True
    return found


MASKS = {"1.2.8": [mask(slice(9, 300), slice(40, 90)), mask(slice(500, 700), slice(80, 99))], "1.2.9": []}


@pytest.fixture
def siim(tmp_path: Path) -> Path:
    """Two X-rays in folders of their own; the table has a third, and a fourth X-ray has no row."""
    folder = tmp_path / "siim"
    for number, name in enumerate((*MASKS, "1.2.10")):
        place = folder / "dicom-images-train" / f"study{number}" / "series"
        place.mkdir(parents=True)
        image = sitk.GetImageFromArray(np.random.default_rng(number).integers(0, 255, (1, SIDE, SIDE), dtype=np.uint8))
        image.SetMetaData("0008|0060", "CR")
        sitk.WriteImage(image, place / f"{name}.dcm")
    rows = [f"{name}, {encode(one)}" for name, of in MASKS.items() for one in of or [np.zeros((4, 4), bool)]]
    (folder / "train-rle.csv").write_text("\n".join(["ImageId, EncodedPixels", *rows, "1.2.11, -1", ""]))
    return folder


def test_a_cohort_has_the_presence_and_the_united_masks(siim: Path, tmp_path: Path) -> None:
    found = read_siim_acr(siim)
    assert [case.name for case in found.cohort.cases] == list(MASKS)
    write_cohort(found.cohort, tmp_path / "out", truth=True, truth_of=found.truth_of)
    written = check_cohort(tmp_path / "out", hounsfield=False)
    assert [case.presence for case in written.cases] == [{None: {"pneumothorax": bool(of)}} for of in MASKS.values()]
    for case, masks in zip(written.cases, MASKS.values(), strict=True):
        truth = usable_truth(case, read_volume(case.image).geometry)
        assert truth is not None
        expected = np.any(masks, axis=0) if masks else np.zeros((SIDE, SIDE), bool)
        assert np.array_equal(truth.voxels[0], expected)


def test_a_packed_table_is_as_good_and_two_are_refused(siim: Path) -> None:
    text = (siim / "train-rle.csv").read_bytes()
    (siim / "packed-rle.csv.gz").write_bytes(gzip.compress(text))
    with pytest.raises(UserError, match=r"packed-rle\.csv\.gz, train-rle\.csv; expected one"):
        read_siim_acr(siim)
    (siim / "train-rle.csv").unlink()
    assert len(read_siim_acr(siim).cohort.cases) == 2
    (siim / "packed-rle.csv.gz").write_bytes(gzip.compress(text)[:-30])
    with pytest.raises(UserError, match=r"packed-rle\.csv\.gz: cannot be read"):
        read_siim_acr(siim)


def test_a_table_of_other_x_rays_and_a_mask_that_leaves_the_image_are_refused(siim: Path) -> None:
    table = siim / "train-rle.csv"
    table.write_text("ImageId, EncodedPixels\n1.2.8, 5 9999999\n")
    found = read_siim_acr(siim)
    with pytest.raises(UserError, match=r"train-rle\.csv: 1\.2\.8: the runs end at pixel"):
        found.truth_of(found.cohort.cases[0])
    table.write_text("ImageId, EncodedPixels\n7, -1\n")
    with pytest.raises(UserError, match="has none of the X-rays"):
        read_siim_acr(siim)


@pytest.mark.real_data
def test_the_real_x_ray_has_its_row(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    found = read_siim_acr(real_data("chest_xray"))
    assert [case.presence for case in found.cohort.cases] == [{None: {"pneumothorax": False}}]
    write_cohort(found.cohort, tmp_path / "out", truth=True, truth_of=found.truth_of)
    assert [case.name for case in check_cohort(tmp_path / "out", hounsfield=False).cases] == [
        found.cohort.cases[0].name
    ]
