"""The layout of PASCAL VOC: names, palette masks, classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.voc import classes_in, read_class_mask, read_voc
from weakmask.errors import UserError


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
    (folder / "ImageSets/Segmentation/val.txt").write_text("2011_03\n2011_01\n", encoding="utf-8")
    return folder


def test_a_set_in_its_order_and_all_masks_without_one(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path / "voc")
    assert [(image.name, image.mask is None) for image in read_voc(folder, "val")] == [
        ("2011_03", True),
        ("2011_01", False),
    ]
    assert [image.name for image in read_voc(folder)] == ["2011_01", "2011_02"]


def test_a_mask_is_the_indices_of_its_palette(tmp_path: Path) -> None:
    images = read_voc(voc_folder(tmp_path / "voc"))
    for image in images:
        assert image.mask is not None
        mask = read_class_mask(image.mask)
        assert sorted(np.unique(mask).tolist()) == [0, 8, 12, 255]
        assert classes_in(mask) == ("cat", "dog")


def test_what_is_no_voc_folder_or_mask_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path / "voc")
    with pytest.raises(UserError, match="has no JPEGImages/"):
        read_voc(tmp_path)
    with pytest.raises(UserError, match=r"train\.txt: cannot be read"):
        read_voc(folder, "train")
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
    images = read_voc(real_data("voc2012_sample"))
    assert len(images) == 3
    for image in images:
        assert image.mask is not None
        mask = read_class_mask(image.mask)
        with Image.open(image.image) as photograph:
            assert mask.shape == photograph.size[::-1]
        assert classes_in(mask)
