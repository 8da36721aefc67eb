"""The command line in this process, and a model to give it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.model import network_of, save_model
from weakmask.networks import build_network
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Path]:
    """Threshold -> the file of an untrained model."""

    def write(threshold: float) -> Path:
        path = tmp_path_factory.mktemp("model") / "model.safetensors"
        config = DramSettings(
            data=DataSettings(cohort=Path("none")),
            prepare=PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8)),
            network=NetworkSettings(width=1),
        )
        names = {str(k): v for k, v in enumerate(("LUL", "LLL", "RUL", "RML", "RLL"), start=1)}
        trained_on = {"region_names": names, "crop_spacing_mm": [3.0, 3.0, 3.0]}
        torch.manual_seed(0)  # whatever tests ran before
        network = build_network(*network_of(config))
        save_model(path, network, config, threshold=threshold, score_map=CT_SEVERITY, trained_on=trained_on)
        return path

    return write


@pytest.fixture(scope="session")
def model(untrained: Callable[[float], Path]) -> Path:
    """An untrained model: every fault must be found before it matters."""
    return untrained(0.5)
