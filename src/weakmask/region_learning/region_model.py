"""The model file of a method that works region by region: weights, and a header with all that a prediction needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from weakmask.config import Fraction, Settings, parse
from weakmask.csv_table import read_csv
from weakmask.errors import UserError
from weakmask.outgoing_text import cut
from weakmask.pipeline import Work, provenance
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.region_learning.prepare import SPACING_COLUMNS
from weakmask.region_learning.settings import PrepareSettings
from weakmask.scoring.score_sets import ScoreSets
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import MODEL, load_weights, save_weights
from weakmask.training.devices import device_of
from weakmask.training.model_header import (
    AGAIN,
    Facts,
    Header,
    Name,
    NetworkHeader,
    network_in,
    refuse_other_method,
    typed_header,
)
from weakmask.volume.geometry import Float3

Millimetres = Annotated[float, Field(gt=0, le=1000)]


class ScoreMapHeader(Header):
    """The score map of the training cohort."""

    name: str
    intervals: dict[Annotated[int, Field(ge=0, le=10**6)], tuple[Fraction, Fraction]]


class TrainedOn(Header):
    """The training cohort: names of its regions, median voxel of the crops."""

    region_names: Annotated[dict[Annotated[int, Field(ge=1, lt=2**31)], Name], Field(min_length=1)]
    crop_spacing_mm: tuple[Millimetres, Millimetres, Millimetres]


class ScoreSetHeader(Header):
    """The calibration of the sets of scores, see `ScoreSets`."""

    coverage: Annotated[float, Field(gt=0, lt=1)]
    distance: Annotated[float, Field(ge=0, le=1)]
    regions: Annotated[int, Field(ge=1)]
    patients: Annotated[int, Field(ge=1)]


class ModelHeader(NetworkHeader):
    """The header of a model file; a method that adds data to it checks these itself."""

    method: Name
    score_map: ScoreMapHeader
    trained_on: TrainedOn
    config: dict[str, Any]
    score_sets: ScoreSetHeader | None = None
    provenance: Facts = Field(default_factory=dict)


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
        score_sets: The calibration of its sets of scores; None: it has none.
    """

    network: nn.Module = field(repr=False)
    config: Any = field(repr=False)
    score_map: ScoreMap
    region_names: dict[int, str]
    crop_spacing_mm: Float3
    header: dict[str, Any] = field(repr=False)
    score_sets: ScoreSets | None = None

    @property
    def prepare(self) -> PrepareSettings:
        """How a scan becomes crops."""
        return self.config.prepare

    @property
    def scales(self) -> tuple[float, ...]:
        """Resizings of a crop whose maps are averaged."""
        return self.config.maps.scales


def write_model(work: Work, weights: Path, further: Mapping[str, object] | None = None) -> None:
    """The stage between training and maps: write model.safetensors.

    Args:
        work: Of the stage; the run has the crops of `01-prepare`.
        weights: Weights of the training, with the network's name and arguments in the header.
        further: Data that the method adds to the header.
    """
    state, header = load_weights(weights)
    score_map = noted_cohort(work.config.data.cohort, work).score_map
    described_as = header["network"], header["arguments"]
    described = model_header(work.config, described_as, score_map, trained_on(work))
    save_weights(work.out / MODEL, trained_network(state, header, weights), {**described, **(further or {})})


def trained_on(work: Work) -> dict[str, Any]:
    """A model file's record of its cohort: names of the regions, median voxel of the crops in mm, number of scans."""
    index = read_csv(work.stage("prepare") / "index.csv")
    return {
        "region_names": {str(label): name for label, name in index.groupby("region")["name"].first().items()},
        "crop_spacing_mm": [float(v) for v in index[list(SPACING_COLUMNS)].median()],
        "scans": index["scan"].nunique(),
    }


def model_header(
    config: Any, described_as: tuple[str, dict[str, Any]], score_map: ScoreMap, trained_on: dict[str, Any]
) -> dict[str, Any]:
    """Header of every model file, to which a method adds the data of its prediction.

    Args:
        config: Settings of the run.
        described_as: Name and arguments of the network.
        score_map: The training cohort's.
        trained_on: Result of `trained_on`.
    """
    name, arguments = described_as
    return {
        "method": config.method,
        "network": name,
        "arguments": arguments,
        "score_map": {"name": score_map.name, "intervals": {str(k): list(v) for k, v in score_map.intervals.items()}},
        "trained_on": trained_on,
        "config": config.model_dump(mode="json"),
        "provenance": provenance(),
    }


def trained_network(state: dict[str, Tensor], header: dict[str, Any], path: str | Path) -> nn.Module:
    """The network that the header of a file of weights names, with these weights.

    Raises:
        UserError: The header is damaged or does not fit the weights.
    """
    named = typed_header(NetworkHeader, header, path)
    return network_in(named.network, named.arguments, state, path)


def load_region_model(
    path: str | Path,
    device: str | torch.device,
    method: str,
    settings: type[Settings],
) -> RegionModel:
    """Read a model file.

    Args:
        path: A file of `write_model` or of the method's own writer.
        device: Where the network goes: auto, cpu, cuda or mps, or a device of torch.
        method: The method expected.
        settings: Its settings' class.

    Raises:
        UserError: Not a weights file of weakmask, of another method, or damaged.
    """
    state, header = load_weights(Path(path))
    refuse_other_method(header, method, path)
    typed = typed_header(ModelHeader, header, path)
    try:
        score_map = ScoreMap(typed.score_map.name, typed.score_map.intervals)
    except ValueError as error:
        raise UserError(f"{path}: its header is damaged ({cut(str(error))}); {AGAIN}") from error
    return RegionModel(
        network=network_in(typed.network, typed.arguments, state, path).eval().to(device_of(device)),
        config=parse(settings, typed.config, str(path)),
        score_map=score_map,
        region_names=typed.trained_on.region_names,
        crop_spacing_mm=typed.trained_on.crop_spacing_mm,
        header=header,
        score_sets=None if typed.score_sets is None else ScoreSets(**typed.score_sets.model_dump()),
    )
