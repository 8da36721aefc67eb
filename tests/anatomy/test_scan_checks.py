"""The check of a scan with its regions: labels without a name, and which findings refuse the scan."""

import numpy as np
import pytest

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.anatomy.scan_checks import CheckedScan, check_scan, named_regions
from weakmask.phantoms.chest_ct import Phantom, make_phantom
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

NAMES = {label: name for name, label in NUMBERINGS["weakmask"].items()}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(11, (44, 48, 48), (7.0, 7.0, 7.0))


def checked(phantom: Phantom, labels: np.ndarray, names: dict[int, str] = NAMES, shift: int = 0) -> CheckedScan:
    image = phantom.image.with_voxels(phantom.image.voxels + np.int16(shift))
    return check_scan(image, phantom.lobes.with_voxels(labels), names, hounsfield=True)


def test_a_good_scan_has_no_findings_and_keeps_its_mask(phantom: Phantom) -> None:
    found = check_scan(phantom.image, phantom.lobes, NAMES, hounsfield=True)
    assert found.findings == ()
    assert found.regions is phantom.lobes


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_labels_without_a_name_are_dropped_with_a_note(phantom: Phantom, dtype: type) -> None:
    labels = phantom.lobes.voxels.astype(dtype)
    labels[phantom.image.voxels > 100] = 86
    labels[0, 0, :5] = 6
    found = checked(phantom, labels)
    assert found.regions is not None
    assert np.array_equal(found.regions.voxels, np.where(labels <= 5, labels, 0))
    (note,) = found.findings
    assert (note.about, note.fatal) == ("regions", False)
    assert note.text.startswith("labels 6, 86 have no name and are not used (")
    assert note.text.endswith("of the mask); the regions are LUL 1, LLL 2, RUL 3, RML 4, RLL 5")


def test_without_any_names_each_label_stands_for_itself(phantom: Phantom) -> None:
    found = checked(phantom, phantom.lobes.voxels, {})
    assert found.regions is not None
    assert np.array_equal(found.regions.voxels, phantom.lobes.voxels)
    assert found.findings == ()


def test_a_mask_without_named_labels_is_empty(phantom: Phantom) -> None:
    found = checked(phantom, phantom.lobes.voxels * 20)
    assert found.regions is not None
    assert not found.regions.voxels.any()


def test_the_low_byte_of_cip_is_the_region() -> None:
    labels = np.array([[[9, 512 + 9, 768 + 14, 512, 4]]], dtype=np.uint16)
    names = {label: name for name, label in NUMBERINGS["cip_thirds"].items()}
    regions, note = named_regions(Volume(labels, Geometry((1, 1, 5)), "label"), names)
    assert regions.voxels.ravel().tolist() == [9, 9, 14, 0, 0]
    assert note.startswith("label 4 has no name and is not used (25.00% of the mask)")


def test_other_grey_values_refuse_the_scan_and_say_what_lies_in_the_regions(phantom: Phantom) -> None:
    found = checked(phantom, phantom.lobes.voxels, shift=1024)
    (fault,) = found.findings
    assert (fault.about, fault.fatal) == ("image", True)
    assert found.fault("image") == fault.text
    assert found.fault("regions") == ""
    assert "not in Hounsfield units (HU): values " in fault.text
    assert "(in the regions mostly " in fault.text
    assert check_scan(phantom.image, phantom.lobes, NAMES, hounsfield=False).findings == ()


def test_misplaced_regions_refuse_the_scan_in_one_line(phantom: Phantom) -> None:
    mirrored = np.ascontiguousarray(phantom.lobes.voxels[:, :, ::-1])
    fault = checked(phantom, mirrored).fault("regions")
    assert "LUL lies further right in the patient than RUL" in fault
    assert fault.endswith("with left and right exchanged the mask would be fine; check the header's direction")
    lungs = np.where(phantom.lobes.voxels > 2, 1, np.where(phantom.lobes.voxels > 0, 2, 0)).astype(np.uint8)
    assert "looks like lungmask_r231 numbering" in checked(phantom, lungs, {1: "left", 2: "right"}).fault("regions")
    assert "these are not lobes" in checked(phantom, lungs).fault("regions")


def test_places_matter_whatever_the_grey_values_are(phantom: Phantom) -> None:
    mirrored = phantom.lobes.with_voxels(np.ascontiguousarray(phantom.lobes.voxels[:, :, ::-1]))
    mr = phantom.image.with_voxels((phantom.image.voxels + 1000) // 3)
    assert check_scan(mr, mirrored, NAMES, hounsfield=False).fault("regions")
    assert check_scan(mr, phantom.lobes, NAMES, hounsfield=False).findings == ()


def test_a_slice_is_only_noted_and_a_picture_has_no_sides(phantom: Phantom) -> None:
    geometry = Geometry((1, 48, 48), (1.0, 7.0, 7.0))
    slices = phantom.image.voxels[20:21] + np.int16(1024), phantom.lobes.voxels[20:21, :, ::-1]
    image, regions = Volume(slices[0], geometry), Volume(np.ascontiguousarray(slices[1]), geometry, "label")
    found = check_scan(image, regions, NAMES, hounsfield=True)
    assert {finding.about for finding in found.findings} == {"image", "regions"}
    assert not any(finding.fatal for finding in found.findings)
    assert check_scan(image, regions, NAMES, hounsfield=False, placed=False).findings == ()


def test_lobes_of_doubtful_size_are_noted(phantom: Phantom) -> None:
    labels = phantom.lobes.voxels.copy()
    middle = np.argwhere(labels == 4)
    order = np.linalg.norm(middle - middle.mean(axis=0), axis=1).argsort()
    labels[tuple(middle[order[28:]].T)] = 0
    total = np.count_nonzero(labels)
    found = checked(phantom, labels)
    expected = [f"RML has {28 / total:.1%} of the lungs' volume, expected 0.4% to 30%"] if 28 / total < 0.004 else []
    assert [(finding.text, finding.fatal) for finding in found.findings] == [(text, False) for text in expected]
    assert expected
