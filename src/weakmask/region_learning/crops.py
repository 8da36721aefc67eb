"""One region of one scan as the network sees it, and a set of them as training draws from it.

A crop file is an image in which voxels outside the region hold no grey value: `OUTSIDE` in a file of int16, NaN in a
file of float32. After windowing they are zero, as the paper has it (section III-A-1), and the region is read off the
same file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weakmask.csv_table import read_csv
from weakmask.datasets.augment import Move, apply_intensity, apply_moves, draw_intensity, draw_move
from weakmask.errors import UserError
from weakmask.region_learning.settings import PrepareSettings
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Box
from weakmask.volume.intensity import compacted, window
from weakmask.volume.regions import crop_region, region_boxes
from weakmask.volume.resample import resample_to_spacing
from weakmask.volume.volume import Volume

OUTSIDE = -32768  # of int16, below every grey value
HALF_STEPS = 2048  # whole steps of a window that half precision tells apart


def region_crops(
    image: Volume,
    regions: Volume,
    labels: list[int],
    settings: PrepareSettings,
    shapes: Mapping[int, tuple] | None = None,
) -> dict[int, Volume]:
    """Crop regions out of a scan: box plus margin, resized, voxels outside the region without a value.

    Args:
        image: The scan in Hounsfield units (or grey values).
        regions: Region labels on the same grid.
        labels: The regions to crop; a region without voxels is left out of the result.
        settings: Spacing, margin and shape of the crops.
        shapes: Other shapes than `settings.crop_shape` for some regions.

    Returns:
        Per label a crop whose geometry says where it lies in the scan's world. It is int16 where whole numbers keep
        what the window shows (CT in Hounsfield units), else float32, see `intensity.keeps_whole`.

    Raises:
        UserError: Crops are slices and the scan is a volume, or the mask lies on another grid.
    """
    refuse_volume(image, settings)
    boxes = {k: b for k, b in region_boxes(regions, settings.margin_mm).items() if k in labels}
    if not boxes:
        return {}
    source = image.voxels.dtype
    if settings.spacing_mm is not None:
        image, regions = _resampled(image, regions, _union(list(boxes.values())), settings.spacing_mm)
    crops = {}
    for label in boxes:
        shape = (shapes or {}).get(label, settings.crop_shape)
        voxels, inside = crop_region(image, regions, label, settings.margin_mm, shape)
        grey = compacted(voxels.voxels, source, *settings.window)
        grey[inside.voxels == 0] = OUTSIDE if grey.dtype == np.int16 else np.nan
        crops[label] = voxels.with_voxels(grey)
    return crops


def inside_of(crop: Volume) -> Bool[np.ndarray, "z y x"]:
    """Where a crop has grey values: the region."""
    return crop.voxels != OUTSIDE if crop.voxels.dtype == np.int16 else ~np.isnan(crop.voxels)


def refuse_volume(image: Volume, settings: PrepareSettings) -> None:
    """Refuse a volume where crops are slices: one plane of each region would stand for all of it.

    Raises:
        UserError: The scan has several slices and crops have one.
    """
    slices, shape = image.geometry.shape[0], settings.crop_shape
    if shape[0] == 1 and slices > 1:
        raise UserError(
            f"a volume of {slices} slices, but crops of {' x '.join(map(str, shape))} voxels (z, y, x) take single "
            "slices; bring its slices one by one, or train with a crop_shape of more than 1 along z"
        )


def windowed(crop: Volume, settings: PrepareSettings) -> tuple[Float[np.ndarray, "z y x"], Bool[np.ndarray, "z y x"]]:
    """The network's input in [0, 1], zero outside the region, and the region."""
    inside = inside_of(crop)
    return np.where(inside, window(crop.voxels, *settings.window), np.float32(0)), inside


def as_batch(image: Tensor) -> Tensor:
    """(N, z, y, x) -> (N, 1, z, y, x), or (N, 1, y, x) for slices, the input of the 3-D or the 2-D network."""
    return image if image.shape[1] == 1 else image[:, None]


@dataclass(frozen=True)
class CropSet:
    """Crops in memory with the score interval of each.

    Attributes:
        image: Windowed; in half precision where it tells the steps of the window apart (CT: a cohort of 1,610 crops of
            80^3 takes 1.6 GB), else float32.
        region: True inside.
        table: One row per crop: scan, patient, region, name, score, low, high, split, file, spacing.
        vessels: True in vessels; None if they were not requested.
    """

    image: Float[Tensor, "crops 1 *space"]
    region: Bool[Tensor, "crops 1 *space"]
    table: pd.DataFrame
    vessels: Bool[Tensor, "crops 1 *space"] | None = None

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.table)

    def only(self, rows: list[int]) -> "CropSet":
        """Some of them."""
        vessels = None if self.vessels is None else self.vessels[rows]
        return CropSet(self.image[rows], self.region[rows], self.table.iloc[rows].reset_index(drop=True), vessels)


def load_crops(folder: Path, split: str, settings: PrepareSettings, vessel_masks: Path | None = None) -> CropSet:
    """Read the crops of one split that the prepare stage left in `folder`, with their vessels if a folder has them."""
    table = read_csv(folder / "index.csv")
    table = table.query(f"split == {split!r}").reset_index(drop=True)
    low, high = settings.window
    halved = high - low <= HALF_STEPS
    images = torch.zeros((len(table), *settings.crop_shape), dtype=torch.float16 if halved else torch.float32)
    regions = torch.zeros(images.shape, dtype=torch.bool)
    vessels = None if vessel_masks is None else torch.zeros(images.shape, dtype=torch.bool)
    for row, file in enumerate(table["file"]):
        crop = read_volume(folder / file)
        image, inside = windowed(crop, settings)
        if crop.voxels.dtype != np.int16:
            images = images.float()
        images[row], regions[row] = torch.from_numpy(image), torch.from_numpy(inside)
        if vessels is not None and vessel_masks is not None:
            vessels[row] = torch.from_numpy(read_volume(vessel_masks / Path(file).name, "label").voxels > 0)
    return CropSet(as_batch(images), as_batch(regions), table, None if vessels is None else as_batch(vessels))


def draw_moves(generator: torch.Generator, image: Float[Tensor, "crops 1 *space"]) -> list[Move]:
    """Flips and a little resizing for every crop (section IV-A).

    The score survives: a resized region is still the whole region unless it leaves the crop, so it only shrinks.
    """
    return [
        draw_move(generator, image.ndim - 2, scale_range=(0.85, 1.0), angle_degrees=0.0, quarter_turns=False)
        for _ in range(len(image))
    ]


def augmented(
    image: Tensor, masks: tuple[Tensor, ...], moves: Sequence[Move], contrast: float, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Move crops and stretch their contrast (section IV-A); outside the first mask, the region, stays zero.

    Returns:
        The image and the masks, all moved alike.
    """
    image = apply_moves(image, moves)
    masks = tuple(apply_moves(mask, moves, "nearest") for mask in masks)
    around_one = (1.0 - contrast, 1.0 + contrast)
    change = draw_intensity(
        generator, len(image), around_one, around_one, largest_shift=contrast / 2, largest_noise=contrast / 5
    )
    return apply_intensity(image, change) * masks[0], *masks


def _union(boxes: list[Box]) -> Box:
    start = np.min([box.start for box in boxes], axis=0)
    stop = np.max([box.stop for box in boxes], axis=0)
    return Box(tuple(int(v) for v in start), tuple(int(v) for v in stop))  # pyright: ignore[reportArgumentType]


def _resampled(image: Volume, regions: Volume, box: Box, spacing_mm: float) -> tuple[Volume, Volume]:
    """Both volumes at the isotropic spacing, only where there are regions; a single slice keeps its thickness."""
    image, regions = image.crop(box), regions.crop(box)
    z = image.geometry.spacing_mm[0] if image.geometry.shape[0] == 1 else spacing_mm
    spacing = (z, spacing_mm, spacing_mm)
    return resample_to_spacing(image, spacing), resample_to_spacing(regions, spacing)
