"""The side and the height in the name of a region."""

import pytest

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.anatomy.region_parts import RegionPart, region_part


@pytest.mark.parametrize(
    ("name", "side", "height"),
    [
        ("LUL", "left", "upper"),
        ("rml", "right", "middle"),
        ("RLZ", "right", "lower"),
        ("left", "left", ""),
        ("Right lung", "right", ""),
        ("left middle", "left", "middle"),
        ("lung_lower_lobe_right", "right", "lower"),
        ("LeftUpperLobe", "left", "upper"),
        ("lung_L", "left", ""),
        ("R-upper", "right", "upper"),
        ("lung rt", "right", ""),
        ("LT_LUNG", "left", ""),
        ("upper", "", "upper"),
        ("lungs", "", ""),
        ("both lungs", "", ""),
    ],
)
def test_lungs_and_their_parts(name: str, side: str, height: str) -> None:
    part = region_part(name)
    assert (part.side, part.height) == (side, height)
    assert part.is_lung


@pytest.mark.parametrize("name", ["5", "image", "liver", "left kidney", "bright", "upright", "zone 1", "whole", ""])
def test_other_names_are_no_lungs(name: str) -> None:
    assert not region_part(name).is_lung or name == ""
    assert region_part(name).height == ""
    assert region_part(name).side == ("left" if name == "left kidney" else "")


def test_an_organ_is_what_is_left_of_the_name() -> None:
    assert region_part("left kidney") == RegionPart("left", "", "kidney")
    assert region_part("kidney_right").organ == "kidney"
    assert region_part("7") != region_part("8")  # plain labels are different things


def test_all_names_of_the_numberings_are_parts_of_lungs_with_a_side() -> None:
    parts = {name: region_part(name) for numbering in NUMBERINGS.values() for name in numbering}
    assert all(part.is_lung and part.side for part in parts.values())
    assert len(set(parts.values())) < len(parts)  # `RML` and `right middle` are the same place
