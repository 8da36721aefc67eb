"""The model file of dRAM: beside what every model file holds, the threshold, and how a context network sees a scan."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import nn

from weakmask.config import Fraction, Scales
from weakmask.errors import UserError
from weakmask.methods.dram.config import ContextSettings, DramSettings
from weakmask.methods.dram.context_grid import SpacingRange
from weakmask.prediction import Limits
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.region_model import Millimetres, RegionModel, load_region_model, model_header
from weakmask.region_learning.settings import PrepareSettings
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import save_weights
from weakmask.training.model_header import AGAIN, Header, typed_header
from weakmask.volume.geometry import Float3

Spacing = tuple[Millimetres, Millimetres, Millimetres]


def _ordered(spacings: tuple[Spacing, Spacing]) -> tuple[Spacing, Spacing]:
    if any(finest > coarsest for finest, coarsest in zip(*spacings, strict=True)):
        raise ValueError("expected the finest spacing before the coarsest")
    return spacings


class ContextTrainedOn(Header):
    """The finest and the coarsest spacing that a context network was trained at, in mm (z, y, x)."""

    context_spacing_mm: Annotated[tuple[Spacing, Spacing], AfterValidator(_ordered)] | None = None


class DramHeader(Header):
    """The values that dRAM adds to the header of its model file."""

    prepare: PrepareSettings
    scales: Scales
    threshold: Fraction
    context: ContextSettings | None
    trained_on: ContextTrainedOn


@dataclass(frozen=True)
class DramModel:
    """A trained network, the regression's or the context network.

    Attributes:
        regional: The network and how it sees regions.
        threshold: The mask is where the averaged map is at least this.
        context: The network is a context network: it has its own grid and segments whole scans.
        limits: Memory and precision of a context network's feature maps.
        trained_mm: The finest and the coarsest spacing that a context network was trained at; None: not known.
        notes: Sentences for a report.
    """

    regional: RegionModel
    threshold: float
    context: ContextSettings | None = None
    limits: Limits = field(default_factory=Limits)
    trained_mm: SpacingRange | None = None
    notes: tuple[str, ...] = ()


def network_arguments(config: DramSettings) -> dict[str, object]:
    """Arguments of the U-Net: two-dimensional when a crop is one slice."""
    return {
        "dimensions": dimensions_of(config.prepare),
        "in_channels": 1,
        "out_channels": 1,
        "width": config.network.width,
        "padding": "same",
        "initial_probability": config.network.initial_probability,
    }


def network_of(config: DramSettings) -> tuple[str, dict[str, object]]:
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
    trained_on: dict[str, object],
    described_as: tuple[str, dict[str, object]] | None = None,
) -> None:
    """Write the weights with their header.

    Args:
        path: Where to.
        network: The trained network.
        config: Settings of the run.
        threshold: Chosen or given threshold of the averaged map.
        score_map: The cohort's.
        trained_on: Result of `region_model.trained_on`.
        described_as: Name and arguments of a context network. None: the regression's.
    """
    described = model_header(config, described_as or network_of(config), score_map, trained_on)
    own = {  # `prepare` and `scales` stand in `config` too; here a reader of the file sees them first
        "prepare": config.prepare.model_dump(mode="json"),
        "scales": list(config.maps.scales),
        "threshold": threshold,
        "context": None if described_as is None else config.context.model_dump(mode="json"),
    }
    save_weights(path, network, described | own)


def load_model(path: str | Path, device: str | torch.device = "auto", limits: Limits | None = None) -> DramModel:
    """Read a model file; `methods.load_segmenter` also takes the folder of a run, and any method.

    Raises:
        UserError: Not a weights file of weakmask, or of another method.
    """
    regional = load_region_model(path, device, "dram", DramSettings)
    header = typed_header(DramHeader, regional.header, path)
    config: DramSettings = regional.config
    if (header.prepare, header.scales) != (config.prepare, config.maps.scales):
        raise UserError(f"{path}: prepare and scales in its header contradict its config; {AGAIN}")
    trained_mm, note = header.trained_on.context_spacing_mm, ""
    if trained_mm is None and header.context is not None and header.context.spacing_mm is None:
        trained_mm, note = _guessed_spacing(regional.crop_spacing_mm)
    notes = (note,) if note else ()
    return DramModel(regional, header.threshold, header.context, limits or Limits(), trained_mm, notes)


def _guessed_spacing(crop_mm: Float3) -> tuple[SpacingRange, str]:
    """The spacings that a context network was probably trained at, and a note: a file of an earlier version.

    A crop is about as large as a region, so that half and twice its voxel bound the voxel of the training scans.
    """
    z, y, x = crop_mm
    finest, coarsest = (z / 2, y / 2, x / 2), (2 * z, 2 * y, 2 * x)
    sides = " x ".join(f"{low:.2g}-{high:.2g}" for low, high in zip(finest, coarsest, strict=True))
    note = (
        "the model file is from an earlier version and does not say at which voxel size its context network was "
        f"trained; scans outside {sides} mm (z, y, x), as its crops suggest, are resampled; train again to be exact"
    )
    return (finest, coarsest), note
