"""The names that readers give to lesions in segmentations, and the numbers of a cohort's truth that they stand for.

3D Slicer and DICOM SEG store `Ground glass opacity` or `Consolidation`, a folder of masks `lesions.nii.gz`.
"""

import numpy as np

from weakmask.anatomy.region_parts import words_of
from weakmask.datasets.case import TruthKind
from weakmask.errors import UserError
from weakmask.volume.structures import LabelOf

_GROUND_GLASS = {"ground", "glass", "groundglass", "ggo", "ggos", "gg"}
_CONSOLIDATION = {"consolidation", "consolidations", "consolidated"}
_MIXED = {"mixed", "mixture"}
_ANY = {
    "lesion", "lesions", "opacity", "opacities", "opacification", "opacifications", "infection", "infections",
    "infected", "infiltrate", "infiltrates", "pneumonia", "covid", "abnormality", "abnormalities", "disease", "nodule",
    "nodules", "tumor", "tumors", "tumour", "tumours",
}  # fmt: skip
_EMPTY = {
    "left", "right", "upper", "middle", "lower", "lung", "lungs", "lobe", "lobes", "pulmonary", "of", "the", "in",
    "and", "with", "area", "areas", "region", "regions", "mask", "masks", "label", "labels", "segmentation", "truth",
    "19",
}  # fmt: skip
_SUBTYPE_UNKNOWN = 65535  # among subtypes, of a lesion of any kind; no label map has it


def label_by_name(kind: TruthKind) -> LabelOf | None:
    """The number of a structure by its name, for a kind of truth; None: the numbers in the file count.

    Of `classes`, a name is a number, such as `3` or `class 3`. Objects (`instances`) need no names.
    """
    if kind == "instances":
        return None
    if kind == "classes":
        return _class_number
    return _subtype if kind == "subtypes" else lambda name: None if _subtype(name) is None else 1


def subtypes_of_names(labels: np.ndarray) -> np.ndarray:
    """The labels that `label_by_name` gives for subtypes; lesions without any subtype become 1.

    Raises:
        UserError: Some lesions have a subtype in their name and others have none.
    """
    unknown = labels == _SUBTYPE_UNKNOWN
    if not unknown.any():
        return labels
    if (labels[~unknown] > 0).any():
        raise UserError(
            "some of its lesions are named after their subtype and others are not; expected ground-glass, "
            "consolidation and mixed, or one name for all; rename them"
        )
    return unknown.astype(np.uint8)


def _class_number(name: str) -> int | None:
    words = [word for word in words_of(name) if word not in ("class", "label")]
    return int(words[0]) if len(words) == 1 and words[0].isdecimal() and len(words[0]) <= 3 else None


def _subtype(name: str) -> int | None:
    """1 ground-glass, 2 consolidation, 3 mixed, `_SUBTYPE_UNKNOWN` any lesion; None: no lesion."""
    words = set(words_of(name))
    if words - (_GROUND_GLASS | _CONSOLIDATION | _MIXED | _ANY | _EMPTY):
        return None
    glass, solid = bool(words & _GROUND_GLASS), bool(words & _CONSOLIDATION)
    if words & _MIXED or (glass and solid):
        return 3
    if glass or solid:
        return 1 if glass else 2
    return _SUBTYPE_UNKNOWN if words & _ANY else None
