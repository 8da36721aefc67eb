"""Prediction with a network that only compares brightness, so that the right mask is known, and dRAM's model file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bright_ball import Brightness, dice, scene

from weakmask.errors import UserError
from weakmask.methods.dram import DramSettings
from weakmask.methods.dram.config import ContextSettings, MapSettings
from weakmask.methods.dram.maps import map_of_scan, segmenter
from weakmask.methods.dram.model import DramModel, load_model, network_of, save_model
from weakmask.networks import build_network
from weakmask.prediction import Scan
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.training.checkpoints import save_weights

CONFIG = DramSettings(
    data=DataSettings(cohort=Path("none")),
    prepare=PrepareSettings(spacing_mm=None, margin_mm=4.0, crop_shape=(40, 40, 40)),
    network=NetworkSettings(width=2),
    maps=MapSettings(scales=(1.0,)),
    context=ContextSettings(padding="same"),
)
NAMES, VOXEL_MM = {1: "LUL", 2: "LLL"}, (2.0, 2.0, 2.0)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.99])
def test_the_mask_is_the_map_above_the_threshold(threshold: float) -> None:
    image, regions, truth = scene()
    regional = RegionModel(Brightness().eval(), CONFIG, CT_SEVERITY, NAMES, VOXEL_MM, header={})
    found = segmenter(DramModel(regional, threshold)).segment(Scan("scan", image, regions, regional.region_names))
    activation = map_of_scan(DramModel(regional, threshold), image, regions)
    np.testing.assert_array_equal(found.maps["activation"].voxels, activation)
    np.testing.assert_array_equal(found.mask.voxels > 0, (activation >= threshold) & (regions.voxels > 0))
    assert found.mask.geometry == found.maps["activation"].geometry == image.geometry
    assert (found.severity or 0) > 0
    assert threshold != 0.5 or dice(found.mask.voxels > 0, truth) > 0.97


@pytest.mark.parametrize("context", [False, True])
def test_a_model_file_brings_back_what_a_prediction_needs(tmp_path: Path, context: bool) -> None:
    path = tmp_path / "m.safetensors"
    small: tuple[str, dict[str, object]] = ("unet", {"width": 2, "out_channels": 3})
    described = small if context else network_of(CONFIG)
    network = build_network(*described)
    seen = {"region_names": {str(k): v for k, v in NAMES.items()}, "crop_spacing_mm": list(VOXEL_MM)}
    described_as = described if context else None
    save_model(path, network, CONFIG, threshold=0.3, score_map=CT_SEVERITY, trained_on=seen, described_as=described_as)
    found = load_model(path, torch.device("cpu"))
    regional = found.regional
    assert (found.threshold, found.context) == (0.3, CONFIG.context if context else None)
    assert (regional.config, regional.prepare, regional.scales) == (CONFIG, CONFIG.prepare, CONFIG.maps.scales)
    assert (regional.score_map, regional.region_names) == (CT_SEVERITY, NAMES)
    assert regional.crop_spacing_mm == VOXEL_MM
    assert not regional.network.training
    for name, value in network.state_dict().items():
        assert torch.equal(regional.network.state_dict()[name], value)


def test_model_files_of_others_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "m.safetensors", Brightness(), {"method": "magic"})
    with pytest.raises(UserError, match="a magic model; expected one of method dram"):
        load_model(tmp_path / "m.safetensors", torch.device("cpu"))


def test_a_header_that_does_not_fit_its_weights_is_one_line(tmp_path: Path) -> None:
    save_weights(
        tmp_path / "m.safetensors", Brightness(), {"method": "dram", "network": "unet", "arguments": {"width": 1}}
    )
    with pytest.raises(
        UserError, match=r"its header is damaged \(3 faults: \(1\) score_map is nothing; expected a section of keys"
    ):
        load_model(tmp_path / "m.safetensors", torch.device("cpu"))
