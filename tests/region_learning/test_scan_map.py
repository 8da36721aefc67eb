"""Crops mapped and put back onto the scan, with networks whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bright_ball import FLIPPED, IDENTITY, OBLIQUE, Brightness, dice, scene

from weakmask.methods.supervised import SupervisedSettings
from weakmask.methods.supervised.config import MapSettings
from weakmask.methods.supervised.maps import segmenter
from weakmask.prediction import Scan
from weakmask.region_learning.prediction import as_prediction
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.scan_map import scan_map
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.geometry import Direction, Geometry
from weakmask.volume.volume import Volume

NAMES = {1: "LUL", 2: "LLL"}


def model(
    scales: tuple[float, ...] = (1.0,),
    crop_shape: tuple[int, int, int] = (40, 40, 40),
    spacing_mm: float | None = None,
) -> RegionModel:
    config = SupervisedSettings(
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(spacing_mm=spacing_mm, margin_mm=4.0, crop_shape=crop_shape),
        maps=MapSettings(scales=scales),
    )
    return RegionModel(Brightness().eval(), config, CT_SEVERITY, NAMES, (2.0, 2.0, 2.0), header={})


@pytest.mark.parametrize("direction", [IDENTITY, FLIPPED, OBLIQUE])
@pytest.mark.parametrize("scales", [(1.0,), (0.8, 1.0, 1.2)])
def test_a_mask_comes_back_on_the_very_grid(direction: Direction, scales: tuple[float, ...]) -> None:
    image, regions, truth = scene(direction)
    found = segmenter(model(scales)).segment(Scan("scan", image, regions, NAMES))
    assert found.mask.geometry == found.maps["activation"].geometry == image.geometry
    assert (found.mask.kind, found.maps["activation"].kind) == ("label", "image")
    assert dice(found.mask.voxels > 0, truth) > 0.95
    assert not found.maps["activation"].voxels[regions.voxels == 0].any()
    for (label, name), value in zip(NAMES.items(), found.values, strict=True):
        inside = regions.voxels == label
        assert (value.name, value.scope, value.quantity) == (name, "region", "fraction")
        assert value.amount == pytest.approx((found.mask.voxels[inside] > 0).mean())
        assert value.score == CT_SEVERITY.score_of(value.amount)


def test_resampled_first_the_mask_changes_little() -> None:
    image, regions, truth = scene()
    found = segmenter(model((0.8, 1.0, 1.2), spacing_mm=1.5)).segment(Scan("scan", image, regions, NAMES))
    assert dice(found.mask.voxels > 0, truth) > 0.95


def test_a_map_that_is_not_a_probability_comes_back_as_it_is() -> None:
    image, regions, _ = scene()
    found = scan_map(model(), lambda crops, region: -3.0 * torch.ones_like(crops) * region, image, regions)
    np.testing.assert_allclose(found[regions.voxels > 0], -3.0, rtol=1e-6)  # not diluted at the regions' borders
    assert not found[regions.voxels == 0].any()


def test_voxels_at_the_border_of_a_region_are_not_diluted() -> None:
    geometry = Geometry((30, 30, 30), (2.0, 2.0, 2.0))
    bright = Volume(np.full(geometry.shape, 0, np.int16), geometry)
    regions = np.zeros(geometry.shape, np.uint8)
    regions[5:25, 5:25, 5:25] = 1
    found = segmenter(model()).segment(Scan("scan", bright, Volume(regions, geometry, "label"), NAMES))
    assert found.maps["activation"].voxels[regions == 1].min() > 0.9
    assert found.values[0].amount == 1.0


def test_regions_of_another_kind_keep_the_size_of_the_training_voxels() -> None:
    image, regions, truth = scene()
    lungs = regions.with_voxels((regions.voxels > 0).astype(np.uint8))
    seen = []
    trained = model()
    trained.network.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape[2:])))
    found = segmenter(trained).segment(Scan("scan", image, lungs, {1: "both lungs"}))
    # the box with margin is 36 x 42 x 44 voxels: 72 x 75.6 x 96.8 mm, at 2 mm 36 x 38 x 49, in steps of 8
    assert seen == [(40, 40, 56)]
    assert dice(found.mask.voxels > 0, truth) > 0.97


def test_a_slice_goes_through_in_two_dimensions() -> None:
    image, regions, truth = scene()
    geometry = Geometry((1, *image.geometry.shape[1:]), image.geometry.spacing_mm)
    picture, flat = Volume(image.voxels[15:16], geometry), Volume(regions.voxels[15:16], geometry, "label")
    found = segmenter(model(crop_shape=(1, 64, 64))).segment(Scan("scan", picture, flat, NAMES))
    assert found.mask.geometry == geometry
    assert dice(found.mask.voxels > 0, truth[15:16]) > 0.97


def test_a_scan_without_regions_has_nothing() -> None:
    image, regions, _ = scene()
    empty = regions.with_voxels(np.zeros_like(regions.voxels))
    found = scan_map(model(), lambda crops, _: crops, image, empty)
    assert not found.any()
    prediction = as_prediction(CT_SEVERITY, Scan("empty", image, empty), found, found > 0)
    assert (prediction.values, prediction.severity) == ((), None)


def test_known_regions_are_cropped_as_always_beside_unknown_ones() -> None:
    image, regions, _ = scene()
    alone = scan_map(model(), lambda crops, region: crops * region, image, regions)
    both = scan_map(model(), lambda crops, region: crops * region, image, regions, known=[1])
    assert np.array_equal(both[regions.voxels == 1], alone[regions.voxels == 1])
    assert not np.array_equal(both[regions.voxels == 2], alone[regions.voxels == 2])
    shapes: list[tuple[int, ...]] = []
    trained = model()
    trained.network.register_forward_hook(lambda _m, inputs, _o: shapes.append(tuple(inputs[0].shape[2:])))
    segmenter(trained).segment(Scan("scan", image, regions, {1: "LUL", 2: "lingula"}))
    assert shapes[0] == (40, 40, 40)
    assert shapes[1] != (40, 40, 40)
