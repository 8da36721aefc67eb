"""The names that tools and readers give to lobes and lungs, matched with the names of a cohort's regions.

TotalSegmentator writes `lung_upper_lobe_left`, 3D Slicer `left superior lobe`, DICOM SEG `Left Upper lobe of lung`.
"""

from collections.abc import Iterable, Mapping

from weakmask.anatomy.region_parts import SIDES, words_of

_WORDS = {
    **SIDES, "superior": "upper", "top": "upper", "mid": "middle", "inferior": "lower", "bottom": "lower",
    "lobes": "lobe", "lungs": "lung", "pulmonary": "lung", "thirds": "third", "zone": "third", "zones": "third",
}  # fmt: skip
_ABBREVIATIONS = {
    "lul": ("left", "upper"), "lll": ("left", "lower"), "rul": ("right", "upper"), "rml": ("right", "middle"),
    "rll": ("right", "lower"),
}  # fmt: skip
_EMPTY = {"of", "the", "lobe", "lung", "mask", "segmentation", "label", "region", "structure", "both"}
_SIDES, _LEVELS = ("left", "right"), ("upper", "middle", "lower")


def label_in(name: str, numbering: Mapping[str, int]) -> int | None:
    """The label of a region that a file calls by some name; None if it is none of the regions.

    Args:
        name: As it is in the file: the name of a segment, or of a file of one structure.
        numbering: Region name -> label.
    """
    same = [label for region, label in numbering.items() if _plain(region) == _plain(name)]
    if same:
        return same[0]
    place = _place(name)
    alike = [label for region, label in numbering.items() if place is not None and _is_at(_place(region), place)]
    return alike[0] if len(alike) == 1 else None


def label_among(name: str, region_names: Mapping[int, str]) -> int | None:
    """As `label_in`, with the regions as label -> name."""
    return label_in(name, {region: label for label, region in region_names.items()})


def _plain(name: str) -> str:
    return " ".join(words_of(name))


def _place(name: str) -> tuple[str, str, str] | None:
    """Side, level and kind (lobe, third, lung or not stated) of a part of the lungs; None for any other name."""
    words: list[str] = []
    for word in words_of(name):
        words += _ABBREVIATIONS.get(word, (_WORDS.get(word, word),))
        words += ["lobe"] if word in _ABBREVIATIONS else []
    if any(word not in {*_EMPTY, *_SIDES, *_LEVELS, "third"} for word in words):
        return None
    sides, levels = _only(words, _SIDES), _only(words, _LEVELS)
    if sides is None or levels is None or not {"lobe", "lung", "third", *_SIDES} & set(words):
        return None
    if not levels:
        return (sides, "", "lung") if sides or "lung" in words else None
    kind = next((kind for kind in ("lobe", "third") if kind in words), "")
    return (sides, levels, kind) if sides else None


def _is_at(region: tuple[str, str, str] | None, place: tuple[str, str, str]) -> bool:
    """Whether a region lies at a place; of a region, `left upper` means the third, of a place in a file any part."""
    if region is None or region[:2] != place[:2]:
        return False
    return place[2] in ("", region[2] or "third")


def _only(words: Iterable[str], choice: tuple[str, ...]) -> str | None:
    """The one word of a choice; empty if there is none, None if there are several."""
    found = {word for word in words if word in choice}
    return None if len(found) > 1 else next(iter(found), "")
