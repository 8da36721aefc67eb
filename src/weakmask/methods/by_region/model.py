"""The model file of a method that works region by region: weights, and a header with all that a prediction needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.methods.dram.config import PrepareSettings
from weakmask.methods.dram.prepare import SPACING_COLUMNS, read_usable
from weakmask.networks import build_network
from weakmask.pipeline import Work, provenance
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import load_weights, save_weights
from weakmask.volume.geometry import Float3

MODEL_STAGE = "03-model"
MODEL = "model.safetensors"


@dataclass(frozen=True)
class RegionModel:
    """A trained network with the settings of its run.

    Attributes:
        network: In evaluation mode.
        config: The method's settings; they have the sections `prepare` and `maps`.
        score_map: Fractions to scores.
        region_names: Names of the region labels it was trained on.
        crop_spacing_mm: Median voxel of the training crops; regions of another kind are cropped at this size.
        header: The whole JSON header, for the report.
    """

    network: nn.Module
    config: Any
    score_map: ScoreMap
    region_names: dict[int, str]
    crop_spacing_mm: Float3
    header: dict[str, Any]

    @property
    def prepare(self) -> PrepareSettings:
        """How a scan becomes crops."""
        return self.config.prepare


def write_model(work: Work, weights: Path) -> None:
    """The stage between training and maps: write model.safetensors.

    Args:
        work: Of the stage; the run has the crops of `01-prepare`.
        weights: What the training left, with the network's name and arguments in the header.
    """
    config = work.config
    state, header = load_weights(weights)
    network = build_network(header["network"], header["arguments"])
    network.load_state_dict(state)
    index = pd.read_csv(work.run / "01-prepare" / "index.csv", dtype={"scan": str, "name": str})
    score_map = read_usable(config.data.cohort, work).score_map
    trained_on = {
        "region_names": {str(label): name for label, name in index.groupby("region")["name"].first().items()},
        "crop_spacing_mm": [float(v) for v in index[list(SPACING_COLUMNS)].median()],
        "scans": index["scan"].nunique(),
    }
    described = {
        "method": config.method,
        "network": header["network"],
        "arguments": header["arguments"],
        "score_map": {"name": score_map.name, "intervals": {str(k): list(v) for k, v in score_map.intervals.items()}},
        "trained_on": trained_on,
        "config": config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    save_weights(work.out / MODEL, network, described)


def load_region_model(path: Path, device: torch.device, method: str, settings: type[Settings]) -> RegionModel:
    """Read a model file.

    Args:
        path: What `write_model` wrote.
        device: Where the network goes.
        method: The method expected.
        settings: Its settings' class.

    Raises:
        UserError: Not a weights file of ours, or of another method.
    """
    state, header = load_weights(path)
    if header.get("method") != method:
        raise UserError(f"{path}: a {header.get('method', 'nameless')} model; expected one of method {method}")
    try:
        network = build_network(header["network"], header["arguments"])
        network.load_state_dict(state)
        score_map, trained_on = header["score_map"], header["trained_on"]
        return RegionModel(
            network=network.eval().to(device),
            config=settings(**header["config"]),
            score_map=ScoreMap(score_map["name"], {int(k): tuple(v) for k, v in score_map["intervals"].items()}),
            region_names={int(k): v for k, v in trained_on["region_names"].items()},
            crop_spacing_mm=tuple(trained_on["crop_spacing_mm"]),
            header=header,
        )
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: its header does not fit its weights; train again, or fetch the file again") from error
