"""Pictures brought to about Hounsfield units by their own lung and soft tissue."""

import numpy as np
import pytest

from weakmask.anatomy.picture_to_hounsfield import LUNG_HU, SOFT_TISSUE_HU, picture_to_hounsfield
from weakmask.errors import UserError
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume


def slice_in_hounsfield() -> tuple[np.ndarray, Volume]:
    """Muscle, two lungs of -880 HU with a vessel each and noise, and a ground-glass patch of -600 HU in one."""
    hu = np.full((1, 120, 100), 45.0)
    regions = np.zeros(hu.shape, np.uint8)
    regions[0, 10:50, 15:85], regions[0, 70:110, 15:85] = 1, 2
    hu[regions > 0] = -880.0
    hu[0, 28:32, 20:80], hu[0, 88:92, 20:80] = 30.0, 30.0
    hu[0, 72:86, 60:84] = -600.0
    hu += np.random.default_rng(0).normal(0.0, 20.0, hu.shape)
    return hu, Volume(regions, Geometry(hu.shape), "label")


@pytest.mark.parametrize("window", [(-1350.0, 150.0), (-1000.0, 1650.0), (-1200.0, 300.0)])
def test_windows_of_any_width_come_to_one_scale(window: tuple[float, float]) -> None:
    hu, regions = slice_in_hounsfield()
    low, high = window
    picture = np.clip(np.rint((hu - low) / (high - low) * 255), 0, 255).astype(np.uint8)
    found = picture_to_hounsfield(Volume(picture, regions.geometry), regions).voxels
    patch, lung = found[0, 74:84, 62:82].mean(), np.median(found[regions.voxels == 1])
    assert abs(patch - -600.0) < 40.0
    assert abs(lung - -880.0) < 40.0
    assert found.dtype == np.float32


def test_sixteen_bits_are_taken_too() -> None:
    hu, regions = slice_in_hounsfield()
    found = picture_to_hounsfield(Volume(hu.astype(np.float32), regions.geometry), regions).voxels
    assert abs(found[0, 74:84, 62:82].mean() - -600.0) < 40.0


def test_the_two_levels_come_out_as_stated() -> None:
    plain = np.full((1, 40, 40), 200, np.uint8)
    plain[0, 5:35, 5:35] = 50
    regions = Volume((plain == 50).astype(np.uint8), Geometry(plain.shape), "label")
    found = picture_to_hounsfield(Volume(plain, regions.geometry), regions).voxels
    assert found[0, 20, 20] == pytest.approx(LUNG_HU, abs=10.0)
    assert found[0, 0, 0] == pytest.approx(SOFT_TISSUE_HU, abs=10.0)


def test_pictures_without_the_tissues_are_refused() -> None:
    flat = np.full((1, 20, 20), 90, np.uint8)
    regions = np.zeros_like(flat)
    regions[0, 5:15, 5:15] = 1
    geometry = Geometry(flat.shape)
    with pytest.raises(UserError, match="every voxel of the picture is 90"):
        picture_to_hounsfield(Volume(flat, geometry), Volume(regions, geometry, "label"))
    bright = np.where(regions > 0, 220, 180).astype(np.uint8)
    bright[0, :, :2] = 10
    with pytest.raises(UserError, match="is it chest CT"):
        picture_to_hounsfield(Volume(bright, geometry), Volume(regions, geometry, "label"))
    with pytest.raises(UserError, match="no region"):
        picture_to_hounsfield(Volume(bright, geometry), Volume(np.zeros_like(flat), geometry, "label"))
