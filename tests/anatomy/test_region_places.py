"""Regions on the wrong side, upside down or beside each other, in any set of names."""

from collections.abc import Mapping

import numpy as np
import pytest

from weakmask.anatomy.region_places import explanation, misplaced, misproportioned, places_of
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

GRID = Geometry((20, 24, 24), (12.0, 10.0, 12.0))
LUNGS = {"left": 1, "right": 2}
THIRDS = {f"{side} {height}": 1 + 3 * s + h for s, side in enumerate(("left", "right")) for h, height in enumerate(
    ("upper", "middle", "lower")
)}  # fmt: skip
LOBES = {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5}
WITHOUT_MIDDLE = {"LUL": 1, "LLL": 2, "RUL": 3, "RLL": 5}
RIGHT_ONLY = {"RUL": 3, "RML": 4, "RLL": 5}
SETS = {"lungs": LUNGS, "thirds": THIRDS, "lobes": LOBES, "four lobes": WITHOUT_MIDDLE, "right lobes": RIGHT_ONLY}


def drawn(names: Mapping[str, int]) -> Volume:
    """Boxes where the names say: z grows to the head, y to the back, x to the patient's left."""
    z, y, x = np.indices(GRID.shape)
    lung = (z >= 2) & (z < 17) & (y >= 3) & (y < 21)
    voxels = np.zeros(GRID.shape, np.uint8)
    for name, label in names.items():
        side, height = name.split()[0], name.split()[-1]
        if name in LOBES:
            side = "left" if name[0] == "L" else "right"
            height = {"U": "top half", "L": "bottom half", "M": "bottom half"}[name[1]]
        inside = lung & ((x >= 14) & (x < 22) if side == "left" else (x >= 2) & (x < 10))
        inside &= {
            "upper": z >= 12, "middle": (z >= 7) & (z < 12), "lower": z < 7, "top half": z >= 9, "bottom half": z < 9
        }.get(height, z >= 0)  # fmt: skip
        if name in {"RML", "RLL"} and "RML" in names:
            inside &= y < 11 if name == "RML" else y >= 11
        voxels[inside] = label
    return Volume(voxels, GRID, "label")


def faults(mask: Volume, names: Mapping[str, int]) -> list[str]:
    return misplaced(places_of(mask, names))


@pytest.mark.parametrize("name", SETS)
def test_regions_in_their_places_have_no_fault(name: str) -> None:
    names = SETS[name]
    assert faults(drawn(names), names) == []
    assert explanation(drawn(names), names) == ""


@pytest.mark.parametrize("name", ["lungs", "thirds", "lobes", "four lobes"])
def test_left_and_right_exchanged(name: str) -> None:
    names = SETS[name]
    mask = drawn(names)
    mirrored = mask.with_voxels(mask.voxels[:, :, ::-1])
    assert any("lies further right in the patient than" in fault for fault in faults(mirrored, names))
    hint = explanation(mirrored, names)
    assert "left and right exchanged" in hint or hint.startswith("looks like lungmask_r231 numbering (right 1, left 2)")
    header = Volume(mask.voxels, Geometry(GRID.shape, GRID.spacing_mm, direction=((1, 0, 0), (0, 1, 0), (0, 0, -1))))
    assert faults(header, names)


@pytest.mark.parametrize("name", ["thirds", "lobes", "four lobes", "right lobes"])
def test_head_and_feet_exchanged(name: str) -> None:
    names = SETS[name]
    mirrored = drawn(names).with_voxels(drawn(names).voxels[::-1])
    assert any("lies lower in the patient than" in fault for fault in faults(mirrored, names))


def test_the_numbering_of_rtsu_without_a_middle_lobe() -> None:
    mask = drawn({"LUL": 1, "LLL": 2, "RUL": 3, "RLL": 4})
    y = np.indices(GRID.shape)[1]
    # the lower lobe lies behind the upper one, and is taken for the middle lobe
    behind = mask.with_voxels(
        np.where(((mask.voxels == 3) & (y > 15)) | ((mask.voxels == 4) & (y < 8)), 0, mask.voxels)
    )
    read = {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5}
    assert faults(behind, read) == ["RUL lies further in front in the patient than RML"]
    assert explanation(behind, read).startswith("looks like rtsu numbering (RLL 4, RML 5)")


def test_lungs_that_are_called_lobes_of_one_side_lie_beside_each_other() -> None:
    lungs = drawn({"right": 1, "left": 2})
    read = {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5}
    assert "mm apart from left to right, expected above each other on the left" in faults(lungs, read)[0]
    assert explanation(lungs, read) == "looks like lungmask_r231 numbering (right 1, left 2): these are not lobes"


def test_regions_that_the_scan_cuts_are_not_compared_in_height() -> None:
    mask = drawn(LOBES)
    lower = Volume(mask.voxels[4:9], Geometry((5, 24, 24), GRID.spacing_mm), "label")  # middle and lower lobe only
    swapped = lower.with_voxels(np.where(lower.voxels == 4, 5, np.where(lower.voxels == 5, 4, lower.voxels)))
    assert all(place.cut for place in places_of(lower, LOBES).values())
    assert faults(swapped, LOBES) == []
    assert misproportioned(places_of(lower, LOBES)) == []
    assert faults(swapped.with_voxels(swapped.voxels[:, :, ::-1]), LOBES)  # sides are seen nevertheless


def test_organs_of_another_name_are_not_compared() -> None:
    mask = drawn({"left": 1, "right": 2})
    assert faults(mask, {"right kidney": 1, "left ventricle": 2}) == []
    assert faults(mask, {"right kidney": 1, "left kidney": 2}) == [
        "left kidney lies further right in the patient than right kidney"
    ]
