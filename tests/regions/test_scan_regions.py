"""The note on regions that a model was not trained on."""

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.regions.scan_regions import unknown_regions

LOBES = {label: name for name, label in NUMBERINGS["weakmask"].items()}
LUNGS = {label: name for name, label in NUMBERINGS["lungs"].items()}


def test_known_regions_need_no_word() -> None:
    assert unknown_regions(LOBES, LOBES) == ""
    assert unknown_regions(LOBES, {1: "LUL", 4: "RML"}) == ""
    assert unknown_regions(LOBES, {10: "LUL", 13: "RML"}) == ""  # by a numbering that was given


def test_regions_of_another_kind_are_named() -> None:
    note = unknown_regions(LOBES, LUNGS)  # named by a numbering that was given
    assert note.startswith("its mask has regions that the model was not trained on: left 1, right 2; expected LUL 1")
    assert note.endswith("their crops are made at the size of the training voxels")
