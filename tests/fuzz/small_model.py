"""A dRAM model of one channel, as small as a model file can be."""

from pathlib import Path

import torch

from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.model import network_of, save_model
from weakmask.networks import build_network
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY

NAMES = {str(label): name for label, name in enumerate(("LUL", "LLL", "RUL", "RML", "RLL"), start=1)}


def small_model(folder: Path, threshold: float = 0.5) -> bytes:
    """The bytes of its file; at a threshold of 0.1034 it marks a part of every phantom."""
    path = folder / "model.safetensors"
    config = DramSettings(
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8)),
        network=NetworkSettings(width=1),
    )
    torch.manual_seed(0)
    network = build_network(*network_of(config))
    trained_on = {"region_names": NAMES, "crop_spacing_mm": [3.0, 3.0, 3.0]}
    save_model(path, network, config, threshold=threshold, score_map=CT_SEVERITY, trained_on=trained_on)
    return path.read_bytes()
