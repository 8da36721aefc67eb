"""The sections of a config that methods share which work region by region: where the scans lie, how they become crops.

(P) is the dRAM paper (arXiv 2105.11748), (C) its authors' released code, (O) our own choice.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from weakmask.config import Settings

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=1)]
Sizes = Annotated[tuple[Positive, ...], Field(min_length=1)]


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError("the first must be below the second")
    return pair


Window = Annotated[tuple[float, float], AfterValidator(_rising)]


def _full(parts: int, info: Any) -> int:  # pydantic's ValidationInfo, which cannot be checked while running
    if parts > info.data.get("batch", parts):
        raise ValueError(f"a batch of {info.data['batch']} cannot be cut into so many parts")
    return parts


Parts = Annotated[int, Field(ge=1), AfterValidator(_full)]  # of a batch; the field `batch` stands before it


class DataSettings(Settings):
    """Where the scans and their scores lie."""

    cohort: Path = Field(description="cohort folder to train on: images/, scores.csv, regions/ (see weakmask check)")
    test: Path | None = Field(default=None, description="cohort to judge on; null: the validation scans")
    validation: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=30 / 322, description="part of the scans kept for validation (P: 30 of 322)"
    )


class PrepareSettings(Settings):
    """Scan -> one crop per region."""

    spacing_mm: Positive | None = Field(
        default=1.2, description="isotropic spacing before cropping (P 1.2, C 1.0); null: crop from the scan's own grid"
    )
    margin_mm: Annotated[float, Field(ge=0)] = Field(default=5.0, description="around the region's box (C)")
    crop_shape: tuple[Side, Side, Side] = Field(
        default=(80, 80, 80), description="voxels of a crop, z y x (P); 1 along z trains the 2-D network on slices"
    )
    grey_values: Literal["hounsfield", "picture"] = Field(
        default="hounsfield",
        description="hounsfield: as stored; picture: brought to about HU by each picture's lung and soft tissue (O)",
    )
    window: Window = Field(default=(-1200.0, 300.0), description="HU clamped and rescaled to 0..1 (P)")
