"""The command line in this process, and a model to give it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from weakmask.cli import main
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.model import network_of, save_model
from weakmask.networks import build_network
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY

Run = Callable[..., tuple[int, list[str]]]
UNTRAINED = "note the model marked no voxel"  # of the models here, which is no fault; `test_predict_files` tests it


@pytest.fixture
def weakmask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Arguments -> the exit code and the lines on the error stream, but for the note that a model is untrained."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["weakmask", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        return int(ended.value.code or 0), [line for line in lines if not line.startswith(UNTRAINED)]

    return run


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
