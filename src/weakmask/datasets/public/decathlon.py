"""A task of the Medical Segmentation Decathlon: scans and masks of classes, and a file that names all of them.

    FOLDER/
      dataset.json                    channels, classes, pairs of image and label map
      imagesTr/NAME.nii.gz            of several channels, with four axes
      labelsTr/NAME.nii.gz

Antonelli et al., Nature Communications 13, 2022.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.public.published import ALL, Published, folder_with
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.files import scan_name
from weakmask.volume.nifti import read_nifti
from weakmask.volume.volume import Volume

TABLE = "dataset.json"


def read_decathlon(folder: Path, part: str = ALL) -> Published:
    """The scans with masks; no voxel is read.

    Args:
        folder: The folder of a task.
        part: The channel of the images, where the task has several; else `all`.

    Raises:
        UserError: dataset.json cannot be read, names files that are missing, or the channel has to be chosen.
    """
    folder = folder_with(folder, TABLE)
    table = _table(folder / TABLE)
    channels = [str(table["modality"][key]) for key in sorted(table["modality"], key=int)]
    if (part == ALL) == (len(channels) > 1) or part not in (ALL, *channels):
        came = f"{part!r} is asked for" if part != ALL else "one of them becomes the image"
        raise UserError(f"{folder}: has the channels {', '.join(channels)}, {came}; choose with --part CHANNEL")
    classes = {int(label): str(name) for label, name in table["labels"].items() if int(label) > 0}
    kind = "binary" if len(classes) == 1 else "classes"
    pairs = [tuple(_file(folder, str(pair[key])) for key in ("image", "label")) for pair in table["training"]]
    cases = tuple(Case(scan_name(image), image, None, label, {}, truth_kind=kind) for image, label in pairs)
    named = ", ".join(f"{label} {name}" for label, name in sorted(classes.items()))
    return Published(
        Cohort(folder, CT_SEVERITY, {}, cases, ()),
        image_of=None if part == ALL else lambda case: Volume(*read_nifti(case.image, channel=channels.index(part))),
        notes=(f"the classes are {named}",),
    )


def _table(path: Path) -> Mapping[str, Any]:
    """The content of dataset.json, with the parts that are used."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        whole = all(isinstance(table[key], kind) for key, kind in (("modality", dict), ("labels", dict)))
        pairs = all({"image", "label"} <= pair.keys() for pair in table["training"])
        numbers = [int(key) for key in (*table["modality"], *table["labels"])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error}); expected that of a task of the Decathlon") from error
    if not (whole and pairs and numbers and table["training"]):
        raise UserError(f"{path}: has no channels, classes or pairs; expected that of a task of the Decathlon")
    return table


def _file(folder: Path, name: str) -> Path:
    """A file that dataset.json names; it must lie in the folder.

    Raises:
        UserError: It does not, or is missing.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{folder / TABLE}: names {name!r}, which is not in its folder; fetch the data set again")
    if not path.is_file():
        raise UserError(f"{path}: no such file; {TABLE} names it; fetch the data set again")
    return path
