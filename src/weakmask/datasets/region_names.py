"""Which label in a region mask each name in scores.csv stands for."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weakmask.anatomy.lobe_numberings import BOTH_LUNGS, HOUSE, NUMBERINGS
from weakmask.datasets.cell_values import label_in, name_in
from weakmask.errors import UserError
from weakmask.outgoing_text import cut
from weakmask.yaml_text import read_yaml_file

WHOLE_IMAGE = {"image": 1}  # the one region of a picture that is scored as a whole
HIGHEST_LABEL = 2**31 - 1
UNSTATED = (
    *(NUMBERINGS[name] for name in HOUSE),
    BOTH_LUNGS,
    WHOLE_IMAGE,
)  # what a cohort without regions.yaml may mean


def read_numbering(path: Path) -> dict[str, int]:
    """Region name -> label from regions.yaml, which holds one of two keys.

    Either the tool that made the masks, or the labels one by one::

        numbering: totalsegmentator

        labels: {upper: 1, middle: 2, lower: 3}

    Raises:
        UserError: The file cannot be read, has other keys, or names no numbering we know.
    """
    content = read_yaml_file(path)
    if not isinstance(content, dict) or len(content) != 1 or not {"numbering", "labels"} & set(content):
        raise UserError(f"{path}: expected either `numbering: NAME` or `labels: {{name: label, ...}}`")
    if "labels" in content:
        return _labels(content["labels"], path)
    tool = content["numbering"]
    if not isinstance(tool, str) or tool not in NUMBERINGS:
        known = ", ".join(sorted(NUMBERINGS))
        raise UserError(f"{path}: unknown numbering {cut(repr(tool))}; expected one of {known}, or `labels:`")
    return dict(NUMBERINGS[tool])


def likely_numbering(regions: Iterable[str]) -> dict[str, int]:
    """The numbering that a table without a regions.yaml speaks of: lobes, lungs, their thirds, or one region.

    Args:
        regions: The regions in the table. Plain labels (`1`, `2`) need no numbering.

    Returns:
        The first of the house's numberings that knows the most of the names; empty if none knows any.
    """
    names = {region.lower() for region in regions}
    best = max(UNSTATED, key=lambda numbering: len(names & {name.lower() for name in numbering}))
    return dict(best) if names & {name.lower() for name in best} else {}


def label_of(region: str, numbering: Mapping[str, int]) -> int | None:
    """The label that a region in the table means; None for a name or label that the numbering does not know.

    Names are compared without regard to case. A number (`2`, or `2.0` and `X2` as statistics
    write it) is a label as it stands; with a numbering, one of its labels.
    """
    name, label = name_in(region).lower(), label_in(region)
    of_name = next((number for known, number in numbering.items() if name_in(known).lower() == name), None)
    if label is None or (of_name is not None and not region.isdecimal()):
        return of_name
    known = label in numbering.values() if numbering else label > 0
    return label if known else None


def _labels(labels: Any, path: Path) -> dict[str, int]:
    if not isinstance(labels, dict) or not labels:
        raise UserError(f"{path}: labels are {cut(repr(labels))}; expected {{name: label, ...}}")
    for name, label in labels.items():
        if type(label) is not int or not 1 <= label <= HIGHEST_LABEL:
            came = f"{cut(str(name))} has label {cut(repr(label))}"
            raise UserError(f"{path}: {came}; expected a whole number from 1 up to {HIGHEST_LABEL}")
    if len(set(labels.values())) < len(labels):
        raise UserError(f"{path}: two names share a label; expected one label for each name")
    return {str(name): label for name, label in labels.items()}
