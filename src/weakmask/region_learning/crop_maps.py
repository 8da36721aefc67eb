"""Maps of training crops in files beside them, one byte per voxel, on the grid of the crop."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import read_csv, write_csv
from weakmask.region_learning.crops import CropSet, as_batch
from weakmask.volume.files import read_volume, write_volume

WHOLE = 255  # the byte of the value 1
SCALE = "scale.csv"
EVERY = 8  # voxel of a region enters a quantile
LEAST = 1e-6  # of a scale: a map that is 0 everywhere stays so


def write_crop_map(prepared: Path, file: str, values: Shaped[np.ndarray, "*space"], folder: Path) -> None:
    """Write the map of a crop.

    Args:
        prepared: The folder of the stage `prepare`.
        file: The crop's file in it.
        values: Bytes, or numbers in [0, 1], which become bytes.
        folder: The folder to write into.
    """
    crop = read_volume(prepared / file)
    in_bytes = values if values.dtype == np.uint8 else np.rint(values * WHOLE).astype(np.uint8)
    write_volume(crop.with_voxels(in_bytes.reshape(crop.geometry.shape), "label"), folder / Path(file).name)


def read_crop_maps(folder: Path, crops: CropSet) -> UInt8[Tensor, "crops 1 *space"]:
    """The maps of crops, in their order, as bytes."""
    found = [read_volume(folder / Path(file).name, "label").voxels.astype(np.uint8) for file in crops.table["file"]]
    return as_batch(torch.from_numpy(np.stack(found)))


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
