"""The model file: weights and all that a prediction needs, in one safetensors file with a JSON header."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from weakmask.errors import UserError
from weakmask.methods.dram.config import ContextSettings, DramSettings, PrepareSettings
from weakmask.networks import build_network
from weakmask.pipeline import provenance
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import load_weights, save_weights
from weakmask.volume.geometry import Float3

METHOD = "dram"
MODEL = "model.safetensors"
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class DramModel:
    """A trained regression network with its preprocessing.

    Attributes:
        network: In evaluation mode.
        prepare: How a scan becomes crops.
        scales: Resizings that are averaged.
        threshold: The mask is where the averaged map is at least this.
        score_map: Fractions to scores.
        region_names: Names of the region labels it was trained on.
        crop_spacing_mm: Median voxel of the training crops; regions of another kind are cropped at this size.
        header: The whole JSON header, for the report.
        context: The network is a context network: it has its own grid and segments whole scans.
        memory_gb: What a context network's feature maps may take.
        precision: Of those maps; auto: bfloat16 on a graphics card, float32 elsewhere.
    """

    network: nn.Module
    prepare: PrepareSettings
    scales: tuple[float, ...]
    threshold: float
    score_map: ScoreMap
    region_names: dict[int, str]
    crop_spacing_mm: Float3
    header: dict[str, Any]
    context: ContextSettings | None = None
    memory_gb: float = 4.0
    precision: Precision = "auto"


def network_arguments(config: DramSettings) -> dict[str, Any]:
    """Arguments of the U-Net: two-dimensional when a crop is one slice."""
    return {
        "dimensions": 2 if config.prepare.crop_shape[0] == 1 else 3,
        "in_channels": 1,
        "out_channels": 1,
        "width": config.network.width,
        "padding": "same",
        "initial_probability": config.network.initial_probability,
    }


def network_of(config: DramSettings) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the regression network: with the attention branch where the refinement asks for it."""
    arguments, settings = network_arguments(config), config.refinement
    if not (settings.weight and settings.attention):
        return "unet", arguments
    shared = {name: arguments[name] for name in ("dimensions", "width", "initial_probability")}
    variants = {name: getattr(settings, name) for name in ("include_self", "rectify", "residual")}
    return "refined_unet", shared | variants


def save_model(
    path: Path,
    network: nn.Module,
    config: DramSettings,
    *,
    threshold: float,
    score_map: ScoreMap,
    trained_on: dict[str, Any],
    described_as: tuple[str, dict[str, Any]] | None = None,
) -> None:
    """Write the weights with their header.

    Args:
        path: Where to.
        network: The trained network.
        config: Settings of the run.
        threshold: Chosen or given threshold of the averaged map.
        score_map: The cohort's.
        trained_on: `region_names`, `crop_spacing_mm`, and what the reader should know of the cohort.
        described_as: Name and arguments of a context network. None: the regression's.
    """
    name, arguments = described_as or network_of(config)
    header = {
        "method": METHOD,
        "network": name,
        "arguments": arguments,
        "prepare": config.prepare.model_dump(mode="json"),
        "scales": list(config.maps.scales),
        "threshold": threshold,
        "score_map": {"name": score_map.name, "intervals": {str(k): list(v) for k, v in score_map.intervals.items()}},
        "trained_on": trained_on,
        "context": None if described_as is None else config.context.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    save_weights(path, network, header)


def load_model(path: Path, device: torch.device) -> DramModel:
    """Read a model file.

    Raises:
        UserError: Not a weights file of ours, or of another method.
    """
    state, header = load_weights(path)
    if header.get("method") != METHOD:
        raise UserError(f"{path}: a {header.get('method', 'nameless')} model; expected one of method {METHOD}")
    try:
        network = build_network(header["network"], header["arguments"])
        network.load_state_dict(state)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: its header does not fit its weights; train again, or fetch the file again") from error
    score_map, context = header["score_map"], header.get("context")
    trained_on = header["trained_on"]
    return DramModel(
        network=network.eval().to(device),
        prepare=PrepareSettings(**header["prepare"]),
        scales=tuple(header["scales"]),
        threshold=header["threshold"],
        score_map=ScoreMap(score_map["name"], {int(k): tuple(v) for k, v in score_map["intervals"].items()}),
        region_names={int(k): v for k, v in trained_on["region_names"].items()},
        crop_spacing_mm=tuple(trained_on["crop_spacing_mm"]),
        header=header,
        context=None if context is None else ContextSettings(**context),
    )
