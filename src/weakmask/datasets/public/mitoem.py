"""MitoEM: sections of electron microscopy as pictures, mitochondria outlined in half of them.

    FOLDER/
      im/im0000.png ... im0999.png
      mito-train-v2/seg0000.tif ... seg0399.tif     or another name that begins with mito-train or mito_train
      mito-val-v2/seg0400.tif ... seg0499.tif       likewise

Voxels have 30 x 8 x 8 nm. Wei et al., MICCAI 2020.
"""

import re
from pathlib import Path

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.public.published import ALL, Published, folder_with
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY

PARTS = ("train", "val")
NUMBER = re.compile(r"(\d+)\.(?:png|tiff?)$", re.IGNORECASE)
SPACING = "a voxel has 30 x 8 x 8 nm, which the sections do not state: give --set 'data.spacing_nm=[30,8,8]'"


def read_mitoem(folder: Path, part: str = ALL) -> Published:
    """A stack of the sections to train on and one of those to validate on, with instances; no pixel is read.

    Args:
        folder: The data set.
        part: `train`, `val` or `all`.

    Raises:
        UserError: No sections, no labels, or labels without their section.
    """
    folder = folder_with(folder, "im")
    images = _sections(folder / "im")
    wanted = [name for name in PARTS if part in (ALL, name)]
    places = {name: path for name in wanted if (path := _labels(folder, name)) is not None}
    if not places:
        raise UserError(f"{folder}: has no folder mito-{wanted[0]}...; fetch the labels, too")
    labels = {name: _sections(path) for name, path in places.items()}
    for name, sections in labels.items():
        lacking = sorted(sections.keys() - images.keys())
        if lacking:
            raise UserError(f"{places[name]}: labels of section {lacking[0]}, which im/ has not; fetch im/ again")
    stem = folder.resolve().name
    cases = tuple(
        Case(f"{stem}_{name}", folder / "im", None, path, {}, stem, truth_kind="instances")
        for name, path in places.items()
    )
    of = {case.name: labels[name] for case, name in zip(cases, places, strict=True)}
    return Published(
        Cohort(folder, CT_SEVERITY, {}, cases, ()),
        image_of=lambda case: [images[number] for number in sorted(of[case.name])],
        truth_of=lambda case: [of[case.name][number] for number in sorted(of[case.name])],
        notes=(SPACING,),
    )


def _labels(folder: Path, part: str) -> Path | None:
    """The folder with the labels of a part; releases name it differently."""
    return next((path for path in sorted(folder.glob(f"mito[-_]{part}*")) if path.is_dir()), None)


def _sections(folder: Path) -> dict[int, Path]:
    """Number of a section -> file.

    Raises:
        UserError: There is none.
    """
    found = {int(number[1]): path for path in folder.iterdir() if (number := NUMBER.search(path.name))}
    if not found:
        raise UserError(f"{folder}: has no numbered .png or .tif files; fetch the data set again")
    return found
