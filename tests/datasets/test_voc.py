"""The layout of PASCAL VOC: names, palette masks, classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.usable_truth import usable_truth
from weakmask.datasets.voc import CLASSES, classes_in, read_class_mask, read_voc
from weakmask.errors import UserError
from weakmask.volume.files import read_volume


def voc_folder(folder: Path) -> Path:
    for kind in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / kind).mkdir(parents=True)
    for name in ("2011_01", "2011_02", "2011_03"):
        Image.new("RGB", (6, 5), (9, 90, 200)).save(folder / "JPEGImages" / f"{name}.jpg")
    labels = np.zeros((5, 6), dtype=np.uint8)
    labels[1:3, 1:3], labels[3, 3], labels[0, 0] = 8, 12, 255
    for name in ("2011_01", "2011_02"):
        picture = Image.fromarray(labels)
        if name == "2011_01":
            picture.putpalette([255 - k // 3 for k in range(768)])
        picture.save(folder / "SegmentationClass" / f"{name}.png")
    (folder / "Annotations").mkdir()
    objects = (
        "<object><name>person</name><part><name>head</name></part></object><object>\n<name> train </name></object>"
    )
    (folder / "Annotations/2011_03.xml").write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")
    (folder / "ImageSets/Segmentation/val.txt").write_text("2011_03\n2011_01\n", encoding="utf-8")
    return folder


def test_a_set_in_its_order_and_all_masks_without_one(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path / "voc")
    found = read_voc(folder, "val")
    assert [(case.name, case.truth is None) for case in found.cases] == [("2011_03", True), ("2011_01", False)]
    present = [{name for name, there in case.presence[None].items() if there} for case in found.cases]
    assert present == [{"person", "train"}, {"cat", "dog"}]  # of the annotation, which names a head, too; of the mask
    assert all(tuple(case.presence[None]) == CLASSES for case in found.cases)
    assert [case.name for case in read_voc(folder).cases] == ["2011_01", "2011_02"]


def test_a_cohort_keeps_the_masks_numbers(tmp_path: Path) -> None:
    write_cohort(read_voc(voc_folder(tmp_path / "voc")), tmp_path / "out", truth=True)
    written = read_cohort(tmp_path / "out")
    assert written.classes == CLASSES
    for case in written.cases:
        truth = usable_truth(case, read_volume(case.image).geometry)
        assert truth is not None
        assert sorted(np.unique(truth.voxels).tolist()) == [0, 8, 12, 255]


def test_a_mask_is_the_indices_of_its_palette(tmp_path: Path) -> None:
    found = read_voc(voc_folder(tmp_path / "voc"))
    for case in found.cases:
        assert case.truth is not None
        mask = read_class_mask(case.truth)
        assert sorted(np.unique(mask).tolist()) == [0, 8, 12, 255]
        assert classes_in(mask) == ("cat", "dog")


def test_what_is_no_voc_folder_or_mask_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path / "voc")
    with pytest.raises(UserError, match="has no JPEGImages/"):
        read_voc(tmp_path)
    with pytest.raises(UserError, match=r"train\.txt: cannot be read"):
        read_voc(folder, "train")
    (folder / "Annotations/2011_03.xml").unlink()
    with pytest.raises(UserError, match=r"has neither 2011_03\.png nor 2011_03\.xml"):
        read_voc(folder, "val")
    (folder / "JPEGImages/2011_03.jpg").unlink()
    with pytest.raises(UserError, match=r"2011_03\.jpg: no such file"):
        read_voc(folder, "val")
    with pytest.raises(UserError, match="mode RGB; expected class indices"):
        read_class_mask(folder / "JPEGImages/2011_01.jpg")
    Image.fromarray(np.full((3, 3), 40, dtype=np.uint8)).save(folder / "SegmentationClass/2011_02.png")
    with pytest.raises(UserError, match=r"labels \[40\]; expected 0 to 20, and 255"):
        read_class_mask(folder / "SegmentationClass/2011_02.png")


@pytest.mark.real_data
def test_the_real_photographs_have_their_classes(real_data: Callable[[str], Path]) -> None:
    cases = read_voc(real_data("voc2012_sample")).cases
    assert len(cases) == 3
    for case in cases:
        assert case.truth is not None
        mask = read_class_mask(case.truth)
        with Image.open(case.image) as photograph:
            assert mask.shape == photograph.size[::-1]
        assert classes_in(mask)
