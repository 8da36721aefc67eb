"""What is said of regions that a model was not trained on."""

import pytest

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.regions.scan_regions import unknown_regions

LOBES = {label: name for name, label in NUMBERINGS["weakmask"].items()}
LUNGS = {label: name for name, label in NUMBERINGS["lungs"].items()}


def plain(*labels: int) -> dict[int, str]:
    return {label: str(label) for label in labels}


def test_known_regions_need_no_word() -> None:
    assert unknown_regions(LOBES, LOBES) == ""
    assert unknown_regions(LOBES, {1: "LUL", 4: "RML"}) == ""
    assert unknown_regions(LOBES, {10: "LUL", 13: "RML"}) == ""  # by a numbering that was given


@pytest.mark.parametrize(
    ("known", "found", "hint"),
    [
        (LOBES, plain(20, 21, 22, 10, 11), "are those of lola11: give --numbering lola11"),
        (LOBES, {4: "RML", 5: "RLL"} | plain(6, 7, 8), "are those of cip: give --numbering cip"),
        (LOBES, plain(10, 12, 13), "are those of totalsegmentator: give --numbering totalsegmentator"),
        (LOBES, plain(13, 14), "are those of totalsegmentator or totalsegmentator_v1: say with --numbering whose"),
        ({1: "LUL", 3: "RUL"}, plain(10, 11, 12, 13, 14), "give --numbering totalsegmentator"),
        (LUNGS, {2: "right"} | plain(3), "are those of cip_lungs: give --numbering cip_lungs"),
        (LUNGS, plain(10, 11, 12, 13, 14), "are those of totalsegmentator: give --numbering totalsegmentator"),
    ],
)
def test_the_numbering_is_named_that_has_the_labels(known: dict[int, str], found: dict[int, str], hint: str) -> None:
    assert hint in unknown_regions(known, found)


def test_regions_of_another_kind_and_strange_labels_have_no_numbering_to_give() -> None:
    lungs = unknown_regions(LOBES, LUNGS)  # named by a numbering that was given
    assert lungs.startswith("its mask has regions that the model was not trained on: left 1, right 2; expected LUL 1")
    strange = unknown_regions(LOBES, LOBES | plain(77))
    assert "not trained on: 77; expected LUL 1" in strange
    assert "--numbering" not in lungs + strange
