"""The truth of a case, if it can be used: the one answer for check, evaluation and the supervised methods.

`truth.yaml` beside the folder truth/ declares its kind::

    kind: binary | subtypes | classes | instances

| kind | labels |
|---|---|
| binary | 0 and 1 (a picture may write 255 for 1) |
| subtypes | 0 none, 1 ground-glass, 2 consolidation, 3 mixed; a binary mask serves as well |
| classes | 0 to 254, one number per class; 255 is ignored |
| instances | 0 outside, a positive number per object |

Without the file it is `subtypes`.
"""

from pathlib import Path
from typing import cast, get_args

from weakmask.datasets.case import Case, TruthKind
from weakmask.datasets.mask_checks import on_grid, some
from weakmask.datasets.truth_names import label_by_name, subtypes_of_names
from weakmask.errors import UserError
from weakmask.volume.files import names_structures, read_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.regions import label_sizes
from weakmask.volume.volume import Volume
from weakmask.yaml_text import read_yaml_file

EXPECTED: dict[TruthKind, str] = {
    "binary": "just 0 and 1",
    "subtypes": "0 to 3 or just 0 and 1",
    "classes": "0 to 254, and 255 to ignore",
    "instances": "0 outside and positive numbers",
}


def read_truth_kind(path: Path) -> TruthKind:
    """The kind of a cohort's truth, from truth.yaml.

    Raises:
        UserError: The file cannot be read, has other keys, or names no known kind.
    """
    content = read_yaml_file(path)
    kinds = get_args(TruthKind)
    if not isinstance(content, dict) or list(content) != ["kind"] or content["kind"] not in kinds:
        raise UserError(f"{path}: expected one line, `kind:` and one of {', '.join(kinds)}")
    return cast("TruthKind", content["kind"])


def usable_truth(case: Case, grid: Geometry) -> Volume | None:
    """The truth of a case on the grid of its image.

    Args:
        case: The case.
        grid: The geometry of its image; the truth is brought to its order of voxels, see `on_grid`.

    Returns:
        Whole-number labels of the kind that the case declares; None if the case has no truth.

    Raises:
        UserError: The file is faulty, lies on another grid, or has labels outside the declared kind; the line ends
            with "the truth is not used".
    """
    if case.truth is None:
        return None
    try:
        truth = on_grid(_read(case.truth, case.truth_kind), grid, case.truth)
    except UserError as error:
        raise UserError(f"{error}; the truth is not used") from error
    wrong = _label_fault(truth, case.truth_kind)
    if wrong:
        raise UserError(f"{case.truth}: {wrong}; the truth is not used")
    return truth


def _read(path: Path, kind: TruthKind) -> Volume:
    """The label map of a true mask; structures that its file names get the numbers of the kind."""
    truth = read_volume(path, "label", label_of=label_by_name(kind))
    if kind != "subtypes" or not (path.is_dir() or names_structures(path)):
        return truth
    try:
        return truth.with_voxels(subtypes_of_names(truth.voxels), "label")
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _label_fault(truth: Volume, kind: TruthKind) -> str:
    labels = set(label_sizes(truth.voxels))
    if _fits(labels, kind):
        return ""
    return f"has the labels {some(labels)}; expected {EXPECTED[kind]}"


def _fits(labels: set[int], kind: TruthKind) -> bool:
    """Whether labels (without 0) are of a kind."""
    if kind in ("binary", "subtypes") and labels == {255}:
        return True
    highest = {"binary": 1, "subtypes": 3, "classes": 255}.get(kind, max(labels, default=0))
    return all(0 < label <= highest for label in labels)
