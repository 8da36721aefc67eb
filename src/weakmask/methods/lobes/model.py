"""The model file of a lobe network, and the one that comes with the package."""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from weakmask.config import parse
from weakmask.errors import UserError
from weakmask.methods.lobes.config import LobeSettings
from weakmask.methods.lobes.prepare import STAGE as PREPARED
from weakmask.methods.lobes.segmentation import STAGE as TRAINED
from weakmask.methods.lobes.segmentation import lobe_network
from weakmask.pipeline import Work, provenance
from weakmask.training.checkpoints import load_weights, save_weights
from weakmask.volume.numberings import NUMBERINGS

STAGE = "03-model"
MODEL = "model.safetensors"
SHIPPED = files("weakmask") / "models" / "lobes.safetensors"


@dataclass(frozen=True)
class LobeModel:
    """A trained lobe network.

    Attributes:
        network: In evaluation mode.
        config: The settings of its run.
        header: The whole JSON header, for the report.
    """

    network: nn.Module
    config: LobeSettings
    header: dict[str, Any]


def write_model(work: Work) -> None:
    """Stage 3: write model.safetensors."""
    config: LobeSettings = work.config
    state, header = load_weights(work.run / TRAINED / f"{config.segmentation.keep}.safetensors")
    network = lobe_network(config.network)
    network.load_state_dict(state)
    index = pd.read_csv(work.run / PREPARED / "index.csv", dtype=str)
    described = {
        "method": config.method,
        "network": header["network"],
        "arguments": header["arguments"],
        "labels": NUMBERINGS["weakmask"],
        "trained_on": {"scans": len(index), "training": index["split"].tolist().count("training")},
        "config": config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    save_weights(work.out / MODEL, network, described)


def load_lobe_model(path: Path | None, device: torch.device) -> LobeModel:
    """Read a model file.

    Args:
        path: What `write_model` wrote, or a run folder with it; None: the model that comes with the package.
        device: Where the network goes.

    Raises:
        UserError: Nothing there, not a weights file of ours, or of another method.
    """
    if path is None:
        with as_file(SHIPPED) as file:
            return _load(file, device)
    inside = path / STAGE / MODEL
    if path.is_dir() and not inside.exists():
        raise UserError(f"{path}: holds no {STAGE}/{MODEL}; expected a run whose training is complete")
    return _load(inside if path.is_dir() else path, device)


def _load(path: Path, device: torch.device) -> LobeModel:
    state, header = load_weights(path)
    if header.get("method") != "lobes":
        raise UserError(f"{path}: a {header.get('method', 'nameless')} model; expected one of method lobes")
    try:
        config = parse(LobeSettings, header["config"], str(path))
        network = lobe_network(config.network)
        network.load_state_dict(state)
    except (ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{path}: its header does not fit its weights; train again, or fetch the file again") from error
    return LobeModel(network.eval().to(device), config, header)
