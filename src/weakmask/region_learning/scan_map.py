"""A network that speaks of crops -> a map of the scan: each region's crop is mapped, and put back where it was cut."""

from collections.abc import Callable, Collection

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from weakmask.activation.multi_scale import average_over_scales
from weakmask.region_learning.crops import as_batch, inside_of, region_crops, windowed
from weakmask.region_learning.region_model import RegionModel
from weakmask.volume.geometry import Box, Geometry, Index3
from weakmask.volume.regions import region_boxes
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

SIDE = 8  # three poolings: sides of crops are multiples of it
ROUNDING = 1e-6  # of a side: NIfTI rounds the spacing of a scan to 7 digits, and DICOM does not
MOST_VOXELS = 160**3  # of one crop, whatever the region's size: bounds the memory

Activation = Callable[[Tensor, Tensor], Tensor]  # crops, regions -> maps of the crops' size


def scan_map(
    model: RegionModel,
    activation: Activation,
    image: Volume,
    regions: Volume,
    *,
    known: Collection[int] | None = None,
) -> Float[np.ndarray, "z y x"]:
    """The map of a whole scan: each region's crop mapped at the scales of `maps.scales`, averaged, and put back.

    Args:
        model: How crops are made, and at which scales they are mapped.
        activation: Crops and regions -> maps.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        known: Labels of the regions that the model was trained on; None: all. The crop of another region (a lung for a
            model of lobes) takes as many voxels as keep their size in mm, so that lesions look as in training.

    Returns:
        Float32 on the scan's grid, 0 outside the regions.

    Raises:
        UserError: The model takes slices and the scan is a volume.
    """
    exact = region_boxes(regions, 0.0)
    shapes = {
        label: _shape_keeping_voxels(box, image.geometry, model)
        for label, box in region_boxes(regions, model.prepare.margin_mm).items()
        if known is not None and label not in known
    }
    whole = np.zeros(image.geometry.shape, dtype=np.float32)
    for label, crop in region_crops(image, regions, list(exact), model.prepare, shapes).items():
        box = exact[label]
        inside = regions.voxels[box.slices] == label
        whole[box.slices][inside] = _onto(crop_map(model, activation, crop), crop, image.geometry.cropped(box))[inside]
    return whole


@torch.inference_mode()
def crop_map(model: RegionModel, activation: Activation, crop: Volume) -> Float[np.ndarray, "z y x"]:
    """The multi-scale map of one crop of `region_crops`, zero outside the region; arguments as `scan_map`."""
    device = next(model.network.parameters()).device
    image, inside = windowed(crop, model.prepare)
    batch = as_batch(torch.from_numpy(image).float()[None]).to(device)
    region = as_batch(torch.from_numpy(inside).float()[None]).to(device)
    found = average_over_scales(activation, batch, region, model.scales)
    return found.cpu().numpy().reshape(crop.geometry.shape)


def _onto(found: np.ndarray, crop: Volume, geometry: Geometry) -> np.ndarray:
    """Resample a crop's map onto a part of the scan; voxels outside the region do not dilute those at its border."""
    inside = inside_of(crop).astype(np.float32)
    values = resample_onto(Volume(found * inside, crop.geometry), geometry).voxels
    weights = resample_onto(Volume(inside, crop.geometry), geometry).voxels
    return np.divide(values, weights, out=np.zeros_like(values), where=weights > 1e-3)


def _shape_keeping_voxels(box: Box, geometry: Geometry, model: RegionModel) -> Index3:
    """Crop shape at which a region's voxels are as large as those the model was trained on."""
    extent_mm = np.array(box.shape) * np.array(geometry.spacing_mm)
    sides = np.maximum(SIDE, np.ceil(extent_mm / np.array(model.crop_spacing_mm) / SIDE - ROUNDING) * SIDE)
    if sides.prod() > MOST_VOXELS:
        sides = np.maximum(SIDE, np.floor(sides * (MOST_VOXELS / sides.prod()) ** (1 / 3) / SIDE) * SIDE)
    if model.prepare.crop_shape[0] == 1:
        sides[0] = 1
    z, y, x = (int(side) for side in sides)
    return z, y, x
