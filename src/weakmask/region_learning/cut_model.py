"""The model file of a method whose maps are cut where held-out regions without lesions stay clean."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from weakmask.config import Settings
from weakmask.region_learning.region_model import RegionModel, load_region_model
from weakmask.training.model_header import Header, typed_header


class CutHeader(Header):
    """The values that such a method adds to the header of its model file.

    Attributes:
        cut: A voxel is marked where its map is at least this.
        scale: The value of a network's map that becomes one half; 1 where maps are probabilities.
    """

    cut: Annotated[float, Field(ge=0)]
    scale: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True)
class CutModel:
    """A trained network, and the cut of its maps."""

    regional: RegionModel
    cut: float
    scale: float


def load_cut_model(path: Path, device: torch.device, method: str, settings: type[Settings]) -> CutModel:
    """Read a model file; arguments as for `load_region_model`.

    Raises:
        UserError: Not a weights file of weakmask, of another method, or damaged.
    """
    regional = load_region_model(path, device, method, settings)
    header = typed_header(CutHeader, regional.header, path)
    return CutModel(regional, header.cut, header.scale)
