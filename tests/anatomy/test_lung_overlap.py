"""Regions compared with the lungs that a CT shows."""

import numpy as np
import pytest

from weakmask.anatomy.lung_overlap import Overlap, overlap_with_lungs
from weakmask.phantoms.chest_ct import Phantom, make_phantom
from weakmask.volume.volume import Volume

NAMES = {1: "LUL", 2: "LLL", 3: "RUL", 4: "RML", 5: "RLL"}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(11, (44, 48, 48), (7.0, 7.0, 7.0))


@pytest.fixture(scope="module")
def lungs(phantom: Phantom) -> np.ndarray:
    """Left 1, right 2."""
    return np.where(phantom.lobes.voxels > 2, 2, np.where(phantom.lobes.voxels > 0, 1, 0)).astype(np.uint8)


def found(phantom: Phantom, labels: np.ndarray, names: dict[int, str]) -> Overlap:
    return overlap_with_lungs(phantom.image, Volume(labels, phantom.image.geometry, "label"), names)


def test_regions_in_the_lungs_have_no_fault(phantom: Phantom, lungs: np.ndarray) -> None:
    assert found(phantom, phantom.lobes.voxels, NAMES) == Overlap()
    assert found(phantom, lungs, {1: "left", 2: "right"}) == Overlap()
    for label, name in NAMES.items():
        assert found(phantom, np.where(phantom.lobes.voxels == label, label, 0), {label: name}) == Overlap()


def test_one_region_on_the_wrong_side(phantom: Phantom, lungs: np.ndarray) -> None:
    assert found(phantom, np.where(lungs == 2, 1, 0), {1: "LUL"}).faults == ("LUL (label 1) lies in the right lung",)
    assert found(phantom, np.where(lungs == 1, 2, 0), {2: "right"}).faults == ("right (label 2) lies in the left lung",)


def test_both_lungs_called_one_lobe(phantom: Phantom, lungs: np.ndarray) -> None:
    (fault,) = found(phantom, (lungs > 0).astype(np.uint8), {1: "LUL"}).faults
    assert fault.startswith("LUL (label 1) covers 9")
    assert fault.endswith("% of the right lung")
    assert found(phantom, (lungs > 0).astype(np.uint8), {1: "lungs"}) == Overlap()


@pytest.mark.parametrize(("axis", "text"), [(0, "head and feet"), (1, "front and back"), (2, "left and right")])
def test_a_mirrored_mask_of_both_lungs(phantom: Phantom, lungs: np.ndarray, axis: int, text: str) -> None:
    mirrored = np.flip(lungs > 0, axis).astype(np.uint8)
    (fault,) = found(phantom, mirrored, {1: "lungs"}).faults
    assert fault.startswith("looks mirrored: ")
    assert f"with {text} exchanged 9" in fault


def test_a_mask_outside_the_lungs(phantom: Phantom) -> None:
    heart = np.zeros(phantom.lobes.voxels.shape, np.uint8)
    z, y, x = (round(c) for c in np.argwhere(phantom.lobes.voxels > 0).mean(axis=0))
    heart[z - 4 : z + 2, y - 8 : y - 2, x - 2 : x + 3] = 1
    heart[phantom.image.voxels < -300] = 0
    (fault,) = found(phantom, heart, {1: "lungs"}).faults
    assert fault.endswith("lie in the lungs of the scan, expected most; is it the mask of another scan?")


def test_consolidated_lungs_are_at_most_noted(phantom: Phantom, lungs: np.ndarray) -> None:
    for ill in (lungs == 1, lungs == 2, lungs > 0):
        voxels = np.where(ill, np.random.default_rng(0).normal(40, 20, lungs.shape), phantom.image.voxels)
        image = phantom.image.with_voxels(voxels.astype(np.float32))
        for labels, names in ((phantom.lobes.voxels, NAMES), (np.where(ill, phantom.lobes.voxels, 0), NAMES)):
            assert overlap_with_lungs(image, phantom.lobes.with_voxels(labels), names).faults == ()


def test_other_organs_are_passed_over(phantom: Phantom, lungs: np.ndarray) -> None:
    assert found(phantom, np.flip(lungs, 0).copy(), {1: "left kidney", 2: "7"}) == Overlap()
