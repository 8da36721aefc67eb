"""Prediction with a network that only compares brightness, so that the right mask is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weakmask.errors import UserError
from weakmask.methods.dram.config import PrepareSettings
from weakmask.methods.dram.crops import OUTSIDE, region_crops, windowed
from weakmask.methods.dram.model import DramModel, load_model
from weakmask.methods.dram.predict import predict_scan
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.training.checkpoints import save_weights
from weakmask.volume.geometry import Direction, Geometry
from weakmask.volume.volume import Volume

PREPARE = PrepareSettings(spacing_mm=None, margin_mm=4.0, crop_shape=(40, 40, 40))
OBLIQUE: Direction = ((0.96, -0.28, 0.0), (0.28, 0.96, 0.0), (0.0, 0.0, 1.0))
FLIPPED: Direction = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
IDENTITY: Direction = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class Brightness(nn.Module):
    """Logit 0 at -600 HU in the paper's window, steep."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(60.0))

    def forward(self, image: Tensor) -> Tensor:
        return self.steepness * (image - 0.4)


def model(prepare: PrepareSettings = PREPARE, scales: tuple[float, ...] = (1.0,)) -> DramModel:
    return DramModel(
        network=Brightness().eval(),
        prepare=prepare,
        scales=scales,
        threshold=0.5,
        score_map=CT_SEVERITY,
        region_names={1: "LUL", 2: "LLL"},
        crop_spacing_mm=(2.0, 2.0, 2.0),
        header={},
    )


def scene(direction: Direction) -> tuple[Volume, Volume, np.ndarray]:
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


@pytest.mark.parametrize("direction", [IDENTITY, FLIPPED, OBLIQUE])
def test_the_mask_comes_back_on_the_very_grid(direction: Direction) -> None:
    image, regions, truth = scene(direction)
    found = predict_scan(model(), image, regions)
    assert found.mask.geometry == image.geometry
    assert found.activation.geometry == image.geometry
    assert found.mask.kind == "label"
    assert dice(found.mask.voxels > 0, truth) > 0.97
    assert not found.activation.voxels[regions.voxels == 0].any()


def test_fractions_and_scores_are_those_of_the_mask() -> None:
    image, regions, _ = scene(IDENTITY)
    found = predict_scan(model(), image, regions)
    for label in (1, 2):
        inside = regions.voxels == label
        assert found.fractions[label] == pytest.approx((found.mask.voxels[inside] > 0).mean())
        assert found.scores[label] == CT_SEVERITY.score_of(found.fractions[label])
    assert found.scores[1] > 0


def test_resampling_first_and_several_scales_change_little() -> None:
    image, regions, truth = scene(IDENTITY)
    prepare = PrepareSettings(spacing_mm=1.5, margin_mm=4.0, crop_shape=(40, 40, 40))
    found = predict_scan(model(prepare, scales=(0.8, 1.0, 1.2)), image, regions)
    assert dice(found.mask.voxels > 0, truth) > 0.95


def test_voxels_at_the_border_of_a_region_are_not_diluted() -> None:
    geometry = Geometry((30, 30, 30), (2.0, 2.0, 2.0))
    bright = Volume(np.full(geometry.shape, 0, np.int16), geometry)
    regions = np.zeros(geometry.shape, np.uint8)
    regions[5:25, 5:25, 5:25] = 1
    found = predict_scan(model(), bright, Volume(regions, geometry, "label"))
    assert found.activation.voxels[regions == 1].min() > 0.9
    assert found.fractions[1] == 1.0


def test_regions_of_another_kind_keep_the_size_of_the_training_voxels() -> None:
    image, regions, truth = scene(IDENTITY)
    lungs = regions.with_voxels((regions.voxels > 0).astype(np.uint8))
    seen = []
    trained = model()
    trained.network.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape[2:])))
    found = predict_scan(trained, image, lungs, trained_regions=False)
    # the box with margin is 36 x 42 x 44 voxels: 72 x 75.6 x 96.8 mm, at 2 mm 36 x 38 x 49, in steps of 8
    assert seen == [(40, 40, 56)]
    assert dice(found.mask.voxels > 0, truth) > 0.97


def test_a_slice_goes_through_the_two_dimensional_network() -> None:
    image, regions, truth = scene(IDENTITY)
    geometry = Geometry((1, *image.geometry.shape[1:]), image.geometry.spacing_mm)
    picture = Volume(image.voxels[15:16], geometry)
    prepare = PrepareSettings(spacing_mm=None, crop_shape=(1, 64, 64))
    found = predict_scan(model(prepare), picture, Volume(regions.voxels[15:16], geometry, "label"))
    assert found.mask.geometry == geometry
    assert dice(found.mask.voxels > 0, truth[15:16]) > 0.97


def test_crops_hold_the_region_and_nothing_else() -> None:
    image, regions, _ = scene(IDENTITY)
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


def test_no_region_gives_no_crop() -> None:
    geometry = Geometry((8, 8, 8))
    empty = Volume(np.zeros(geometry.shape, np.uint8), geometry, "label")
    assert region_crops(Volume(np.zeros(geometry.shape, np.int16), geometry), empty, [1], PREPARE) == {}


def test_model_files_of_others_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "m.safetensors", Brightness(), {"method": "magic"})
    with pytest.raises(UserError, match="a magic model; expected one of method dram"):
        load_model(tmp_path / "m.safetensors", torch.device("cpu"))


def test_a_header_that_does_not_fit_its_weights_is_one_line(tmp_path: Path) -> None:
    save_weights(
        tmp_path / "m.safetensors", Brightness(), {"method": "dram", "network": "unet", "arguments": {"width": 1}}
    )
    with pytest.raises(UserError, match="its header does not fit its weights"):
        load_model(tmp_path / "m.safetensors", torch.device("cpu"))
