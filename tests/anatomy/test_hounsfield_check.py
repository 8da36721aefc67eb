"""Grey values that are not Hounsfield units are recognised, and those of ill, cropped or masked scans are accepted."""

from collections.abc import Callable

import numpy as np
import pytest

from weakmask.anatomy.hounsfield_check import consolidated_note, hounsfield_fault
from weakmask.phantoms.chest_ct import Phantom, make_phantom
from weakmask.volume.volume import Volume

Change = Callable[[np.ndarray, np.ndarray], np.ndarray]  # HU, regions -> grey values


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(11, (44, 48, 48), (7.0, 7.0, 7.0))


def padded(voxels: np.ndarray, value: float = -1024) -> np.ndarray:
    voxels = voxels.copy()
    voxels[:, :8, :8] = value
    return voxels


def consolidated(hu: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.where(inside, np.random.default_rng(0).normal(40, 20, hu.shape), hu)


NOT_HOUNSFIELD: dict[str, Change] = {
    "stored values": lambda hu, _: hu + 1024,
    "stored values in a padded scan": lambda hu, _: padded(hu + 1024),
    "stored values of lungs alone": lambda hu, regions: np.where(regions > 0, hu + 1024, -1024),
    "intercept twice": lambda hu, _: hu - 1024,
    "intercept twice, clipped": lambda hu, _: (hu - 1024).clip(-1024),
    "negative": lambda hu, _: -hu,
    "inverted": lambda hu, _: hu.max() + hu.min() - hu,
    "inverted around lung": lambda hu, _: -1000 - hu,
    "wrapped in 12 bits": lambda hu, _: np.mod(hu, 4096),
    "wrapped in 12 bits, intercept applied": lambda hu, _: np.mod(hu, 4096) - 1024,
    "wrapped in 16 bits": lambda hu, _: np.mod(hu, 65536),
    "8 bits": lambda hu, _: ((hu + 1000) * 255 / 1400).clip(0, 255),
    "0 to 1": lambda hu, _: (hu + 1000) / 1400,
    "window of soft tissue": lambda hu, _: hu.clip(-160, 240),
}
HOUNSFIELD: dict[str, Change] = {
    "as made": lambda hu, _: hu,
    "padded with -3024": lambda hu, _: padded(hu, -3024),
    "noise of a sharp kernel": lambda hu, _: hu + np.random.default_rng(0).normal(0, 80, hu.shape),
    "clipped to a window of lung": lambda hu, _: hu.clip(-1000, 400),
    "lungs alone": lambda hu, regions: np.where(regions > 0, hu, -2000),
    "body set to water": lambda hu, regions: np.where(regions > 0, hu, 0),
    "left lung consolidated": lambda hu, regions: consolidated(hu, np.isin(regions, (1, 2))),
    "both lungs consolidated": lambda hu, regions: consolidated(hu, regions > 0),
    "contrast": lambda hu, regions: np.where((regions == 0) & (hu > 30) & (hu < 60), 350, hu),
}


@pytest.mark.parametrize("kind", NOT_HOUNSFIELD)
def test_other_grey_values_are_recognised_in_the_lungs(phantom: Phantom, kind: str) -> None:
    values = NOT_HOUNSFIELD[kind](phantom.image.voxels.astype(np.float32), phantom.lobes.voxels)
    assert hounsfield_fault(phantom.image.with_voxels(values.astype(np.float32)), phantom.lobes)


@pytest.mark.parametrize("kind", ["stored values", "intercept twice", "negative", "wrapped in 12 bits", "8 bits"])
def test_most_are_recognised_without_regions(phantom: Phantom, kind: str) -> None:
    values = NOT_HOUNSFIELD[kind](phantom.image.voxels.astype(np.float32), phantom.lobes.voxels)
    assert hounsfield_fault(phantom.image.with_voxels(values.astype(np.float32)))
    assert hounsfield_fault(phantom.image.with_voxels(padded(values, values.min() - 24).astype(np.float32)))


@pytest.mark.parametrize("kind", HOUNSFIELD)
@pytest.mark.parametrize("regions", ["all", 1, 4, 5, None])
def test_hounsfield_units_of_any_scan_are_accepted(phantom: Phantom, kind: str, regions: int | str | None) -> None:
    values = HOUNSFIELD[kind](phantom.image.voxels.astype(np.float32), phantom.lobes.voxels).astype(np.float32)
    lobes = phantom.lobes.voxels
    lungs = {"all": lobes, None: None}.get(regions, lobes == regions)
    mask = None if lungs is None else phantom.lobes.with_voxels(lungs.astype(np.uint8))
    assert hounsfield_fault(phantom.image.with_voxels(values), mask) == ""


def test_lungs_without_air_are_noted(phantom: Phantom) -> None:
    ill = phantom.image.with_voxels(consolidated(phantom.image.voxels, phantom.lobes.voxels > 0).astype(np.float32))
    assert "0.0 % of the regions are aerated (-1100 to -500) and their median is 4" in consolidated_note(
        ill, phantom.lobes
    )
    assert consolidated_note(phantom.image, phantom.lobes) == ""


def test_one_grey_value_says_nothing(phantom: Phantom) -> None:
    plain = Volume(np.full(phantom.image.voxels.shape, -800, np.int16), phantom.image.geometry)
    assert hounsfield_fault(plain, phantom.lobes) == ""
