"""Crops mapped and put back onto the scan, and the model file that knows how, with networks whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weakmask.errors import UserError
from weakmask.methods.by_region.maps import as_prediction, scan_map
from weakmask.methods.by_region.model import RegionModel
from weakmask.methods.dram.config import DataSettings, PrepareSettings
from weakmask.methods.supervised import SupervisedSettings
from weakmask.methods.supervised.config import MapSettings
from weakmask.methods.supervised.predict import load_model, predict_scan
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.training.checkpoints import save_weights
from weakmask.volume.geometry import Direction, Geometry
from weakmask.volume.volume import Volume

IDENTITY: Direction = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
OBLIQUE: Direction = ((0.96, -0.28, 0.0), (0.28, 0.96, 0.0), (0.0, 0.0, 1.0))


class Brightness(nn.Module):
    """Logit 0 at -600 HU in the paper's window, steep."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(60.0))

    def forward(self, image: Tensor) -> Tensor:
        return self.steepness * (image - 0.4)


def model(scales: tuple[float, ...] = (1.0,), crop_shape: tuple[int, int, int] = (40, 40, 40)) -> RegionModel:
    config = SupervisedSettings(
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(spacing_mm=None, margin_mm=4.0, crop_shape=crop_shape),
        maps=MapSettings(scales=scales),
    )
    names = {1: "LUL", 2: "LLL"}
    return RegionModel(Brightness().eval(), config, CT_SEVERITY, names, (2.0, 2.0, 2.0), header={})


def scene(direction: Direction = IDENTITY) -> tuple[Volume, Volume, np.ndarray]:
    """A dark block of two regions with a bright ball in the first; the truth is the ball inside the regions."""
    geometry = Geometry((40, 44, 48), (2.0, 1.8, 2.2), (-30.0, 12.0, 5.0), direction)
    z, y, x = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(geometry.shape, geometry.spacing_mm, strict=True)), indexing="ij"
    )
    distance = np.sqrt((z - 30) ** 2 + (y - 40) ** 2 + (x - 40) ** 2)
    image = np.clip(-600 + 40 * (16 - distance), -900, 0).astype(np.float32)
    regions = np.zeros(geometry.shape, np.uint8)
    regions[4:36, 4:40, 4:24], regions[4:36, 4:40, 24:44] = 1, 2
    return Volume(image, geometry), Volume(regions, geometry, "label"), (distance < 16) & (regions > 0)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.mark.parametrize("direction", [IDENTITY, OBLIQUE])
@pytest.mark.parametrize("scales", [(1.0,), (0.8, 1.0, 1.2)])
def test_a_mask_comes_back_on_the_very_grid(direction: Direction, scales: tuple[float, ...]) -> None:
    image, regions, truth = scene(direction)
    found = predict_scan(model(scales), image, regions)
    assert found.mask.geometry == found.activation.geometry == image.geometry
    assert (found.mask.kind, found.activation.kind) == ("label", "image")
    assert dice(found.mask.voxels > 0, truth) > 0.95
    assert not found.activation.voxels[regions.voxels == 0].any()
    for label in (1, 2):
        inside = regions.voxels == label
        assert found.fractions[label] == pytest.approx((found.mask.voxels[inside] > 0).mean())
        assert found.scores[label] == CT_SEVERITY.score_of(found.fractions[label])


def test_a_map_that_is_not_a_probability_comes_back_as_it_is() -> None:
    image, regions, _ = scene()
    found = scan_map(model(), lambda crops, region: -3.0 * torch.ones_like(crops) * region, image, regions)
    np.testing.assert_allclose(found[regions.voxels > 0], -3.0, rtol=1e-6)  # not diluted at the regions' borders
    assert not found[regions.voxels == 0].any()


def test_regions_of_another_kind_keep_the_size_of_the_training_voxels() -> None:
    image, regions, truth = scene()
    lungs = regions.with_voxels((regions.voxels > 0).astype(np.uint8))
    seen = []
    trained = model()
    trained.network.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape[2:])))
    found = predict_scan(trained, image, lungs, trained_regions=False)
    assert seen == [(40, 40, 56)]  # 72 x 75.6 x 96.8 mm with the margin, at 2 mm, in steps of 8
    assert dice(found.mask.voxels > 0, truth) > 0.97


def test_a_slice_goes_through_in_two_dimensions() -> None:
    image, regions, truth = scene()
    geometry = Geometry((1, *image.geometry.shape[1:]), image.geometry.spacing_mm)
    picture, flat = Volume(image.voxels[15:16], geometry), Volume(regions.voxels[15:16], geometry, "label")
    found = predict_scan(model(crop_shape=(1, 64, 64)), picture, flat)
    assert found.mask.geometry == geometry
    assert dice(found.mask.voxels > 0, truth[15:16]) > 0.97


def test_a_scan_without_regions_has_nothing() -> None:
    image, regions, _ = scene()
    empty = regions.with_voxels(np.zeros_like(regions.voxels))
    found = scan_map(model(), lambda crops, _: crops, image, empty)
    assert not found.any()
    prediction = as_prediction(model(), empty, found, found > 0)
    assert (prediction.fractions, prediction.scores) == ({}, {})


def test_model_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_weights(path, Brightness(), {"method": "dram"})
    with pytest.raises(UserError, match="a dram model; expected one of method supervised"):
        load_model(path, torch.device("cpu"))
    save_weights(path, Brightness(), {"method": "supervised", "network": "unet", "arguments": {"width": 1}})
    with pytest.raises(UserError, match="its header does not fit its weights"):
        load_model(path, torch.device("cpu"))
