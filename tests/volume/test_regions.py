"""Bounding boxes of regions, and crops around them."""

import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.regions import crop_region, region_box, region_boxes
from weakmask.volume.resample import resample_onto, resample_to_shape
from weakmask.volume.volume import Volume

REGION = 4


def two_regions() -> Volume:
    """Two ellipsoids with the labels 2 and 4 on an anisotropic grid."""
    grid = Geometry((30, 32, 40), (6.0, 5.0, 5.0), (-90.0, -80.0, -100.0))
    z, y, x = np.indices(grid.shape)
    labels = np.zeros(grid.shape, dtype=np.int16)
    for label, middle in ((2, 10), (REGION, 28)):
        labels[((z - 14) / 9) ** 2 + ((y - 15) / 10) ** 2 + ((x - middle) / 7) ** 2 < 1] = label
    return Volume(labels, grid, "label")


def test_boxes_are_the_plain_ones_with_their_margin() -> None:
    labels = np.random.default_rng(0).choice([0, 0, 0, 0, 0, 0, 0, 0, 2, 9], (5, 6, 7)).astype(np.uint8)
    labels[0] = labels[:, -1] = 0
    mask = Volume(labels, Geometry((5, 6, 7), (2.0, 1.0, 0.5)), "label")
    boxes = region_boxes(mask, 1.2)
    assert list(boxes) == [2, 9]
    for label, box in boxes.items():
        at = np.argwhere(labels == label)
        start = np.maximum(at.min(axis=0) - [1, 2, 3], 0)
        stop = np.minimum(at.max(axis=0) + np.array([2, 3, 4]), labels.shape)
        assert box == Box(tuple(start.tolist()), tuple(stop.tolist()))
        assert region_box(mask, label, 1.2) == box


def test_boxes_refuse_what_is_no_label_map() -> None:
    grid = Geometry((1, 1, 3))
    with pytest.raises(UserError, match="no voxel with label 4; its labels: 1, 2"):
        region_box(Volume(np.array([[[0, 1, 2]]]), grid, "label"), 4)
    with pytest.raises(UserError, match="no voxel with label 4; its labels: none"):
        region_box(Volume(np.zeros((1, 1, 3), dtype=int), grid, "label"), 4)
    with pytest.raises(UserError, match="fractions; expected whole labels"):
        region_boxes(Volume(np.array([[[0, 0.5, 1]]]), grid, "label"))
    with pytest.raises(UserError, match="has the label -1"):
        region_boxes(Volume(np.array([[[0, -1, 1]]]), grid, "label"))
    assert list(region_boxes(Volume(np.array([[[0, 3.0, 1.0]]]), grid, "label"))) == [1, 3]


def test_a_crop_shows_the_region_and_its_margin_at_the_asked_shape() -> None:
    labels = two_regions()
    image = labels.with_voxels(np.random.default_rng(0).normal(size=labels.voxels.shape), kind="image")
    part, region = crop_region(image, labels, REGION, 5.0, (20, 24, 16))
    grid = labels.geometry.cropped(region_box(labels, REGION, 5.0)).with_shape((20, 24, 16))
    assert part.geometry == region.geometry == grid
    assert region.kind == "label"
    assert region.voxels.dtype == np.uint8
    inner = (slice(2, -2),) * 3  # away from the crop's edge, where cropping first has no neighbours to blend
    cropped = resample_to_shape(image.crop(region_box(labels, REGION, 5.0)), (20, 24, 16))
    np.testing.assert_allclose(part.voxels[inner], cropped.voxels[inner], atol=1e-5)
    np.testing.assert_array_equal(region.voxels, resample_onto(labels, grid).voxels == REGION)
    assert set(np.unique(region.voxels)) == {0, 1}


def test_a_crop_wants_one_grid() -> None:
    labels = two_regions()
    image = Volume(np.zeros((4, 4, 4)), Geometry((4, 4, 4)))
    with pytest.raises(UserError, match=r"the region mask has the grid \(30, 32, 40\) .* resample the mask onto it"):
        crop_region(image, labels, 1, 5.0, (8, 8, 8))
