"""Coded terms of DICOM, read from `codes.yaml`."""

from functools import cache
from pathlib import Path

from highdicom.sr import CodedConcept

from weakmask.anatomy.region_parts import region_part
from weakmask.yaml_text import read_yaml_file

FILE = Path(__file__).with_name("codes.yaml")


def code(group: str, name: str) -> CodedConcept:
    """A term of a group.

    Args:
        group: A key of the file: categories, findings, sites, sides, measurements, units, report.
        name: A key of the group.

    Raises:
        KeyError: No such term.
    """
    value, scheme, meaning = _terms()[group][name]
    return CodedConcept(value, scheme, meaning)


def finding(name: str) -> CodedConcept:
    """The type of a class of a mask; a lesion where the class has no term."""
    known = {key.casefold(): key for key in _terms()["findings"]}
    return code("findings", known.get(name.casefold(), "lesion"))


def site(region: str) -> tuple[CodedConcept, CodedConcept | None]:
    """The place of a region in the body, and its side; None where the place itself says it, or nothing does.

    Args:
        region: Its name: LUL, `right lung`, ...
    """
    part = region_part(region)
    if not part.is_lung:
        return code("sites", "other"), None
    side = code("sides", part.side) if part.side else None
    if part.height == "middle" and part.side == "right":
        return code("sites", "middle"), None
    place = part.height if part.height in {"upper", "lower"} else "lung"
    return code("sites", place), side


@cache
def _terms() -> dict[str, dict[str, tuple[str, str, str]]]:
    content = read_yaml_file(FILE)
    return {group: {str(name): tuple(term) for name, term in terms.items()} for group, terms in content.items()}
