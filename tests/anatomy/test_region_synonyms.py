import pytest

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.anatomy.region_synonyms import label_among, label_in

LOBES, LUNGS, THIRDS = (NUMBERINGS[name] for name in ("weakmask", "lungs", "thirds"))


@pytest.mark.parametrize(
    ("name", "lobe"),
    [
        ("lung_upper_lobe_left", "LUL"),  # TotalSegmentator
        ("lung_middle_lobe_right", "RML"),
        ("Left Upper lobe of lung", "LUL"),  # DICOM
        ("left superior lobe", "LUL"),
        ("LeftInferiorLobe", "LLL"),
        ("RLL", "RLL"),
        ("rul", "RUL"),
        ("LUL_mask", "LUL"),
        ("Right Upper", "RUL"),
    ],
)
def test_names_of_lobes(name, lobe):
    assert label_in(name, LOBES) == LOBES[lobe]
    assert label_in(name, LUNGS) is None


@pytest.mark.parametrize(
    ("name", "side"), [("lung_left", "left"), ("Right Lung", "right"), ("R", "right"), ("left", "left")]
)
def test_names_of_lungs(name, side):
    assert label_in(name, LUNGS) == LUNGS[side]
    assert label_in(name, LOBES) is None


def test_names_of_thirds():
    assert label_in("left upper third", THIRDS) == THIRDS["left upper"]
    assert label_in("right lower zone", THIRDS) == THIRDS["right lower"]
    assert label_in("left upper lobe", THIRDS) is None
    assert label_in("left upper third", LOBES) is None


@pytest.mark.parametrize(
    "name",
    ["heart", "lung_vessels", "lung_nodules", "lesion in left upper lobe", "left lower lobe vein", "Segment_1", "lung",
     "upper lobe", "left and right lung", "", "left atrium"],
)  # fmt: skip
def test_other_structures_are_no_region(name):
    assert label_in(name, LOBES) is None
    assert label_in(name, LUNGS) is None


def test_regions_of_the_users_own():
    assert label_in("Tumour Core", {"tumour_core": 3}) == 3
    assert label_in("lung", {"lungs": 1}) == 1
    assert label_among("lung_upper_lobe_left", {10: "LUL"}) == 10
