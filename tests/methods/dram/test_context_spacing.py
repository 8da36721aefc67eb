"""The context network segments a scan at the voxel size that it was trained at."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from context_scan import scan, settings

from weakmask.methods.dram.config import ContextSettings
from weakmask.methods.dram.context import segment_in_context
from weakmask.methods.dram.context_grid import context_grid
from weakmask.methods.dram.context_training import context_arguments
from weakmask.methods.dram.model import DramModel, load_model, save_model
from weakmask.networks import UNet
from weakmask.region_learning.region_model import RegionModel
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.volume import Volume


def test_a_scan_is_segmented_at_the_spacing_of_the_training() -> None:
    found, own_grid = scan(), ContextSettings(spacing_mm=None, padding="same", window_voxels=16)

    def spacing_of(finest: float, coarsest: float, settings: ContextSettings = own_grid) -> tuple[float, ...]:
        trained = ((finest, finest, finest), (coarsest, coarsest, coarsest))
        return context_grid(found.image, found.regions, settings, trained).whole.spacing_mm

    assert spacing_of(4.0, 5.0) == (4.0, 4.0, 4.0)
    assert spacing_of(0.7, 1.25) == (1.25, 1.25, 1.25)
    assert spacing_of(1.5, 3.0) == (2.0, 2.0, 2.0), "within the range a scan keeps its own grid"
    assert spacing_of(2.0001, 3.0) == (2.0, 2.0, 2.0), "files round spacings"
    assert spacing_of(4.0, 5.0, own_grid.model_copy(update={"spacing_mm": 1.5})) == (1.5, 1.5, 1.5)


def test_a_finer_copy_of_a_scan_gets_the_mask_of_the_training_grid() -> None:
    torch.manual_seed(0)
    config, found = settings(padding="same", window_voxels=16), scan()
    network = UNet(**context_arguments(config)).eval()  # pyright: ignore[reportArgumentType]
    regional = RegionModel(network, config, CT_SEVERITY, {3: "RUL"}, (2.0, 2.0, 2.0), header={})
    trained_mm = ((2.0, 2.0, 2.0), (2.0, 2.0, 2.0))
    model = DramModel(regional, 0.5, config.context, trained_mm=trained_mm)
    fine = found.image.geometry.with_spacing((1.0, 1.0, 1.0))
    twice = np.ones((2, 2, 2), np.int16)
    image = Volume(np.kron(found.image.voxels, twice), fine)
    regions = Volume(np.kron(found.regions.voxels, twice), fine, "label")
    activation, _ = segment_in_context(model, image, regions)
    coarse, _ = segment_in_context(model, found.image, found.regions)
    middle = activation[20:40, 20:60, 20:80].reshape(10, 2, 20, 2, 30, 2).mean((1, 3, 5))
    assert np.abs(middle - coarse[10:20, 10:30, 10:40]).max() < 0.02


def test_a_model_file_says_at_which_spacing_it_was_trained(tmp_path: Path) -> None:
    config = settings(padding="same", window_voxels=16)
    network, path = UNet(**context_arguments(config)), tmp_path / "model.safetensors"  # pyright: ignore[reportArgumentType]
    seen: dict[str, object] = {"region_names": {"3": "RUL"}, "crop_spacing_mm": [3.0, 2.0, 2.0]}
    save = partial(
        save_model,
        path,
        network,
        config,
        threshold=0.5,
        score_map=CT_SEVERITY,
        described_as=("unet", context_arguments(config)),
    )
    save(trained_on=seen | {"context_spacing_mm": [[2.0, 1.5, 1.5], [2.5, 1.5, 1.5]]})
    model = load_model(path, "cpu")
    assert model.trained_mm == ((2.0, 1.5, 1.5), (2.5, 1.5, 1.5))
    assert model.notes == ()
    save(trained_on=seen)  # as earlier versions did
    guessed = load_model(path, "cpu")
    assert guessed.trained_mm == ((1.5, 1.0, 1.0), (6.0, 4.0, 4.0))
    assert "earlier version" in guessed.notes[0]
