"""What commands say of a mask none of whose labels has a name."""

import pytest

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.regions.checked_regions import nameless_fault

LOBES = {label: name for name, label in NUMBERINGS["weakmask"].items()}
LUNGS = {label: name for name, label in NUMBERINGS["lungs"].items()}
ORGANS = (1, 5, 10, 11, 12, 13, 14, 51, 86)


@pytest.mark.parametrize(
    ("known", "labels", "hint"),
    [
        (LOBES, (20, 21, 22, 10, 11), "are those of lola11: give --numbering lola11"),
        (LOBES, (10, 12, 13), "are those of totalsegmentator: give --numbering totalsegmentator"),
        (LOBES, (13, 14), "are those of totalsegmentator or totalsegmentator_v1: say with --numbering whose"),
        ({1: "LUL", 3: "RUL"}, (10, 11, 12, 13, 14), "give --numbering totalsegmentator"),
        (LUNGS, (10, 11, 12, 13, 14), "are those of totalsegmentator: give --numbering totalsegmentator"),
        ({7: "LUL"}, ORGANS, "give --numbering"),
    ],
)
def test_the_numbering_is_named_that_has_the_labels(known: dict[int, str], labels: tuple[int, ...], hint: str) -> None:
    fault = nameless_fault(dict.fromkeys(labels, 1), known)
    assert hint in fault
    assert ", none of " in fault


def test_strange_labels_have_no_numbering_to_give() -> None:
    assert nameless_fault({77: 1, 99: 1}, LOBES) == ("has the labels 77, 99, none of LUL 1, LLL 2, RUL 3, RML 4, RLL 5")
