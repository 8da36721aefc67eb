"""Maps of training crops in stacks of 256, one byte per voxel, on the grids of the crops."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import read_csv, write_csv
from weakmask.region_learning.crops import CropSet
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

WHOLE = 255  # the byte of the value 1
PER_FILE = 256  # crops
SCALE = "scale.csv"
EVERY = 8  # voxel of a region enters a quantile
LEAST = 1e-6  # of a scale: a map that is 0 everywhere stays so


def write_crop_maps(folder: Path, maps: Iterable[Shaped[np.ndarray, "*space"]]) -> None:
    """Write the maps of crops as stacks 0000.nii, 0001.nii ...: 256 crops each, one behind the other along z.

    Args:
        folder: The folder to write into.
        maps: One per crop, in the order of the crops: bytes, or numbers in [0, 1], which become bytes.
    """
    coming, number = iter(maps), 0
    while stack := list(islice(coming, PER_FILE)):
        voxels = np.concatenate([_slices(values) for values in stack])
        volume = Volume(voxels, Geometry(voxels.shape), "label")
        write_volume(volume, folder / f"{number:04d}.nii")
        number += 1


def read_crop_maps(folder: Path, crops: CropSet) -> UInt8[Tensor, "crops 1 *space"]:
    """The maps of crops, in their order, as bytes.

    Raises:
        ValueError: The folder holds the maps of other crops.
    """
    stacks = [read_volume(file, "label").voxels for file in sorted(folder.glob("*.nii"))]
    found = np.concatenate(stacks) if stacks else np.zeros((0, 0, 0), np.uint8)
    if found.size != crops.image.numel():
        raise ValueError(f"{folder} holds {found.shape} voxels; expected those of {tuple(crops.image.shape)}")
    return torch.from_numpy(found.astype(np.uint8)).reshape(crops.image.shape)


def _slices(values: np.ndarray) -> UInt8[np.ndarray, "z y x"]:
    """A map as bytes, with at least one slice."""
    in_bytes = values if values.dtype == np.uint8 else np.rint(values * WHOLE).astype(np.uint8)
    return in_bytes.reshape(-1, *values.shape[-2:])


def quantile_inside(
    maps: Iterable[tuple[Float[np.ndarray, "*space"], Bool[np.ndarray, "*space"]]], quantile: float
) -> float:
    """A quantile of many maps inside their regions, from every eighth voxel; at least a millionth."""
    chosen = np.concatenate([values[inside][::EVERY] for values, inside in maps])
    return max(LEAST, float(np.quantile(chosen, quantile)))


def write_scale(folder: Path, scale: float) -> None:
    """Write scale.csv: the value of a map that became 1."""
    with atomic_file(folder / SCALE) as temporary:
        write_csv(pd.DataFrame({"scale": [scale]}), temporary, "%.9g")


def read_scale(folder: Path) -> float:
    """The value that `write_scale` left in a folder."""
    return float(read_csv(folder / SCALE)["scale"].iloc[0])


def in_unit_range(values: Float[Tensor, "*any"], scale: float) -> Float[Tensor, "*any"]:
    """A map that is at least 0, brought into [0, 1) without a largest value: m / (m + scale), one half at the scale."""
    return values / (values + scale)
