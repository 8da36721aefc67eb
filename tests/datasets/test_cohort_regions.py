"""Faults of region masks: grids, labels that are missing or another tool's, lobes in the wrong place."""

from typing import Any

import numpy as np
import pytest

from weakmask.datasets.cohort import check_cohort
from weakmask.volume.geometry import Geometry


def test_regions_of_another_shape(folder: Any) -> None:
    folder.regions(folder.lobes()[1:], geometry=Geometry((19, 24, 24), folder.grid.spacing_mm, folder.grid.origin_mm))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.message == (
        "regions/odd.nii.gz: grid 19 x 24 x 24 at 12 x 10 x 12 mm, the image's 20 x 24 x 24 at 12 x 10 x 12 mm; "
        "resample the mask onto the image"
    )


def test_regions_in_another_place(folder: Any) -> None:
    folder.regions(
        folder.lobes(), geometry=Geometry(folder.grid.shape, folder.grid.spacing_mm, (-100.0, -120.0, -80.0))
    )
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert (
        "grid begins at -100 x -120 x -80 mm (z, y, x) or is turned, the image's begins at -100 x -120 x -140 mm"
        in (fault.message)
    )


def test_a_region_absent_from_the_mask_costs_its_score(folder: Any) -> None:
    voxels = folder.lobes()
    voxels[voxels == 4] = 5
    folder.regions(voxels)
    fault, cohort = folder.odd_fault()
    assert fault.message == "regions/odd.nii.gz: region RML (label 4) has no voxel; its score is not used"
    assert not fault.fatal
    assert cohort.cases[1].scores == {1: 0, 2: 1, 3: 2, 5: 0}


def test_a_crumb_of_a_region_costs_its_score(folder: Any) -> None:
    voxels = folder.lobes()
    voxels[voxels == 4] = 5
    voxels[4, 5, 3:6] = 4
    folder.regions(voxels)
    cohort = check_cohort(folder.path)
    assert "regions/odd.nii.gz: region RML (label 4) has only 3 voxels; its score is not used" in [
        fault.message for fault in cohort.faults
    ]
    assert 4 not in cohort.cases[1].scores


def test_an_empty_mask(folder: Any) -> None:
    folder.regions(np.zeros(folder.grid.shape, np.uint8))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.message == "regions/odd.nii.gz: no region at all, every voxel is 0; make the mask again"


def test_a_mask_with_fractions(folder: Any) -> None:
    folder.regions(folder.lobes() * np.float32(0.5))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert "whole numbers" in fault.message


def test_labels_of_another_tool_are_recognised(folder: Any) -> None:
    other = {"LUL": 10, "LLL": 11, "RUL": 12, "RML": 13, "RLL": 14}
    folder.regions(folder.lobes(other))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.message == (
        "regions/odd.nii.gz: has the labels 10, 11, 12, 13, 14, none of the scored 1, 2, 3, 4, 5; "
        "they are those of totalsegmentator: write `numbering: totalsegmentator` in regions.yaml"
    )


def test_labels_of_nobody(folder: Any) -> None:
    folder.regions(folder.lobes({name: 100 * label for name, label in folder.labels.items()}))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.message.endswith("none of the scored 1, 2, 3, 4, 5; say in regions.yaml what the labels mean")


def test_the_high_byte_of_labels_of_cip_is_not_the_region(folder: Any) -> None:
    (folder.path / "regions.yaml").write_text("numbering: cip\n")
    cip = {"RUL": 4, "RML": 5, "RLL": 6, "LUL": 7, "LLL": 8}
    folder.regions(folder.lobes(cip), "good")
    folder.regions(folder.lobes({name: 256 * 3 + label for name, label in cip.items()}))
    cohort = check_cohort(folder.path)
    assert cohort.faults == ()
    assert cohort.cases[1].scores == {7: 0, 8: 1, 4: 2, 5: 0, 6: 0}


def test_a_numbering_that_is_stated_is_followed(folder: Any) -> None:
    other = {"LUL": 10, "LLL": 11, "RUL": 12, "RML": 13, "RLL": 14}
    (folder.path / "regions.yaml").write_text("numbering: totalsegmentator\n")
    folder.regions(folder.lobes(other), "good")
    folder.regions(folder.lobes(other))
    cohort = check_cohort(folder.path)
    assert cohort.faults == ()
    assert cohort.cases[0].scores == {10: 0, 11: 1, 12: 0, 13: 0, 14: 0}


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        pytest.param({"RML": 5, "RLL": 4}, "looks like rtsu numbering", id="another tool's order"),
        pytest.param({"LUL": 3, "LLL": 5, "RUL": 1, "RML": 4, "RLL": 2}, "LUL lies further right", id="sides"),
        pytest.param({"LUL": 2, "LLL": 1}, "LUL lies lower in the patient than LLL", id="upper and lower"),
    ],
)
def test_lobes_in_the_wrong_place_cost_the_scan(folder: Any, spoilt: dict[str, int], words: str) -> None:
    folder.regions(folder.lobes({**folder.labels, **spoilt}))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert fault.file == "regions/odd.nii.gz"
    assert words in fault.message


def test_a_mirrored_mask_costs_the_scan(folder: Any) -> None:
    folder.regions(np.ascontiguousarray(folder.lobes()[:, :, ::-1]))
    fault, _ = folder.odd_fault()
    assert fault.fatal
    assert "looks mirrored: with left and right exchanged the mask would be fine" in fault.message


def test_lobes_of_a_stated_numbering_are_looked_at_too(folder: Any) -> None:
    (folder.path / "regions.yaml").write_text("numbering: totalsegmentator\n")
    labels = {"LUL": 10, "LLL": 11, "RUL": 12, "RML": 13, "RLL": 14}
    folder.regions(folder.lobes(labels), "good")
    folder.regions(folder.lobes({**labels, "LUL": 11, "LLL": 10}))
    fault, _ = folder.odd_fault()
    assert "LUL lies lower in the patient than LLL" in fault.message
