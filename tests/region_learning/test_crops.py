"""Crops hold one region each, and nothing else."""

import numpy as np
import pytest
from bright_ball import scene

from weakmask.errors import UserError
from weakmask.region_learning.crops import OUTSIDE, inside_of, region_crops, windowed
from weakmask.region_learning.settings import PrepareSettings
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.volume import Volume

PREPARE = PrepareSettings(spacing_mm=None, margin_mm=4.0, crop_shape=(40, 40, 40))


def test_crops_hold_the_region_and_nothing_else() -> None:
    image, regions, _ = scene()
    crops = region_crops(image, regions, [1, 2, 7], PREPARE)
    assert sorted(crops) == [1, 2]  # the region that is absent is left out
    voxels, inside = windowed(crops[1], PREPARE)
    assert crops[1].voxels.dtype == np.int16
    assert crops[1].geometry.shape == (40, 40, 40)
    assert voxels[~inside].max() == 0
    assert 0 < voxels[inside].min() < voxels[inside].max() <= 1
    volume_mm3 = inside.sum() * crops[1].geometry.voxel_volume_mm3
    assert volume_mm3 == pytest.approx((regions.voxels == 1).sum() * image.geometry.voxel_volume_mm3, rel=0.05)
    assert (crops[1].voxels[~inside] == OUTSIDE).all()


def test_a_volume_gives_no_crops_of_one_slice() -> None:
    image, regions, _ = scene()
    flat = PREPARE.model_copy(update={"crop_shape": (1, 40, 40)})
    with pytest.raises(UserError, match=r"a volume of 40 slices, but crops of 1 x 40 x 40 voxels .* single slices"):
        region_crops(image, regions, [1, 2], flat)
    one = Box((15, 0, 0), (16, *image.geometry.shape[1:]))
    assert region_crops(image.crop(one), regions.crop(one), [1], flat)[1].geometry.shape == (1, 40, 40)


def test_no_region_gives_no_crop() -> None:
    geometry = Geometry((8, 8, 8))
    empty = Volume(np.zeros(geometry.shape, np.uint8), geometry, "label")
    assert region_crops(Volume(np.zeros(geometry.shape, np.int16), geometry), empty, [1], PREPARE) == {}


def test_a_region_at_the_scans_edge_is_not_mixed_with_what_lies_beyond() -> None:
    geometry = Geometry((20, 20, 20), (2.0, 2.0, 2.0))
    lung = Volume(np.full(geometry.shape, -850, np.int16), geometry)
    regions = Volume(np.ones(geometry.shape, np.uint8), geometry, "label")
    crop = region_crops(lung, regions, [1], PREPARE.model_copy(update={"spacing_mm": 1.2}))[1]
    assert (crop.voxels[inside_of(crop)] == -850).all()
