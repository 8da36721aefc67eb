"""The layout of PASCAL VOC 2012: photographs, class masks as palette pictures, lists of names.

    FOLDER/
      JPEGImages/NAME.jpg
      SegmentationClass/NAME.png          0 background, 1 to 20 the classes, 255 ignored
      Annotations/NAME.xml                the objects in a photograph; read where it has no mask
      ImageSets/Segmentation/SET.txt      optional; names, one a line

Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV 111, 2015.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from weakmask.datasets.case import Case, Cohort
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.evaluation.class_masks import IGNORED
from weakmask.scoring.severity import CT_SEVERITY

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


NAME = re.compile(r"<name>\s*(\w+)\s*</name>")  # of objects, and of their parts, which are no classes


def read_voc(folder: Path, image_set: str | None = None) -> Cohort:
    """The photographs of a set, in its order, each with the classes of its mask or, without one, of its annotation.

    Args:
        folder: VOC2012, or another folder of that layout.
        image_set: "train", "trainval", "val"; None: all photographs that have a mask.

    Raises:
        UserError: The folder has another layout, or a file of the set is missing or faulty.
    """
    images, masks = folder / "JPEGImages", folder / "SegmentationClass"
    if not images.is_dir():
        raise UserError(f"{folder}: has no JPEGImages/; expected the layout of PASCAL VOC 2012")
    if image_set is None:
        names = sorted(path.stem for path in masks.glob("*.png"))
    else:
        names = _names(folder / "ImageSets" / "Segmentation" / f"{image_set}.txt")
    if not names:
        raise UserError(f"{folder}: holds no photograph with a mask; expected SegmentationClass/NAME.png")
    return Cohort(folder, CT_SEVERITY, {}, tuple(_case(folder, name) for name in names), (), CLASSES)


def _case(folder: Path, name: str) -> Case:
    image, mask = folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png"
    annotation = folder / "Annotations" / f"{name}.xml"
    if not image.is_file():
        raise UserError(f"{image}: no such file; the set names it; fetch the data set again")
    if mask.is_file():
        truth, found = mask, classes_in(read_class_mask(mask))
    elif annotation.is_file():
        truth, found = None, NAME.findall(_text(annotation, "the objects of a photograph"))
    else:
        raise UserError(f"{image}: has neither {mask.name} nor {annotation.name}; fetch the data set again")
    return Case(name, image, None, truth, {}, "", {None: {of: of in found for of in CLASSES}}, "classes")


def read_class_mask(path: Path) -> UInt8[np.ndarray, "y x"]:
    """Class of each pixel: the palette's indices, not its colours.

    Raises:
        UserError: Not a palette or grey picture, or with labels that are neither classes nor ignored.
    """
    try:
        with Image.open(path) as picture:
            mode, labels = picture.mode, np.array(picture)
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error}); expected a class mask of PASCAL VOC") from error
    if mode not in {"P", "L"}:
        raise UserError(f"{path}: a picture of mode {mode}; expected class indices in a palette or grey picture")
    strange = sorted(set(np.unique(labels).tolist()) - {*range(len(CLASSES) + 1), IGNORED})
    if strange:
        raise UserError(f"{path}: labels {strange[:5]}; expected 0 to {len(CLASSES)}, and {IGNORED} for ignored")
    return labels


def classes_in(mask: UInt8[np.ndarray, "y x"]) -> tuple[str, ...]:
    """The names of the classes that a mask holds: the image's labels."""
    present = set(np.unique(mask).tolist())
    return tuple(name for index, name in enumerate(CLASSES, start=1) if index in present)


def _names(path: Path) -> list[str]:
    return _text(path, "a list of names").split()


def _text(path: Path, expected: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error}); expected {expected}") from error
