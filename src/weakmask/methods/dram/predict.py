"""A scan and its regions -> activation map and mask on the scan's own grid, and a score per region."""

from dataclasses import dataclass

import numpy as np
import torch

from weakmask.activation.dram import dense_regression_map
from weakmask.activation.multi_scale import average_over_scales
from weakmask.methods.dram.context import segment_in_context
from weakmask.methods.dram.crops import as_batch, region_crops, windowed
from weakmask.methods.dram.model import DramModel
from weakmask.scoring.severity import region_fractions
from weakmask.volume.geometry import Box, Geometry, Index3
from weakmask.volume.regions import region_boxes
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

SIDE = 8  # three poolings: sides of crops are multiples of it
MOST_VOXELS = 160**3  # of one crop, whatever the region's size: bounds the memory


@dataclass(frozen=True)
class Prediction:
    """What a model says of one scan.

    Attributes:
        activation: Map in [0, 1] on the scan's grid.
        mask: Lesion mask on the scan's grid.
        regions: The regions it was made in.
        fractions: Lesion fraction per region label, of the mask.
        scores: Score per region label.
    """

    activation: Volume
    mask: Volume
    regions: Volume
    fractions: dict[int, float]
    scores: dict[int, int]


def predict_scan(model: DramModel, image: Volume, regions: Volume, *, trained_regions: bool = True) -> Prediction:
    """Segment one scan.

    Args:
        model: A trained model.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        trained_regions: Whether the regions are of the kind the model was trained on. If not (lungs for a model of
            lobes), a crop takes as many voxels as keep their size in mm, so that lesions look as in training.
    """
    if model.context is not None:
        activation, mask = segment_in_context(model, image, regions)
    else:
        activation = map_of_scan(model, image, regions, trained_regions=trained_regions).voxels
        mask = (activation >= model.threshold) & (regions.voxels > 0)
    labels = [int(v) for v in np.unique(regions.voxels) if v > 0]
    fractions = region_fractions(mask, regions.voxels, labels)
    return Prediction(
        activation=image.with_voxels(activation, "image"),
        mask=image.with_voxels(mask, "label"),
        regions=regions,
        fractions=fractions,
        scores={label: model.score_map.score_of(fraction) for label, fraction in fractions.items()},
    )


def map_of_scan(model: DramModel, image: Volume, regions: Volume, *, trained_regions: bool = True) -> Volume:
    """The regression's map on the scan's grid, zero outside the regions; arguments as `predict_scan`."""
    labels = [int(v) for v in np.unique(regions.voxels) if v > 0]
    boxes = region_boxes(regions, model.prepare.margin_mm)
    shapes = None
    if not trained_regions:
        shapes = {k: _shape_keeping_voxels(box, image.geometry, model) for k, box in boxes.items()}
    crops = region_crops(image, regions, labels, model.prepare, shapes)
    activation = np.zeros(image.geometry.shape, dtype=np.float32)
    for label, crop in crops.items():
        box = region_boxes(regions, 0.0)[label]
        inside = regions.voxels[box.slices] == label
        found = _onto(crop_map(model, crop), crop, image.geometry.cropped(box))
        activation[box.slices][inside] = found[inside]
    return image.with_voxels(activation, "image")


@torch.inference_mode()
def crop_map(model: DramModel, crop: Volume) -> np.ndarray:
    """The multi-scale map of one crop, (z, y, x) in [0, 1], zero outside the region."""
    device = next(model.network.parameters()).device
    image, inside = windowed(crop, model.prepare)
    batch = as_batch(torch.from_numpy(image).float()[None]).to(device)
    region = as_batch(torch.from_numpy(inside).float()[None]).to(device)
    found = average_over_scales(lambda x, r: dense_regression_map(model.network, x, r), batch, region, model.scales)
    return found.cpu().numpy().reshape(crop.geometry.shape)


def _onto(found: np.ndarray, crop: Volume, geometry: Geometry) -> np.ndarray:
    """Resample a crop's map onto a part of the scan; voxels outside the region do not dilute those at its border."""
    inside = (crop.voxels != np.iinfo(np.int16).min).astype(np.float32)
    values = resample_onto(Volume(found * inside, crop.geometry), geometry).voxels
    weights = resample_onto(Volume(inside, crop.geometry), geometry).voxels
    return np.divide(values, weights, out=np.zeros_like(values), where=weights > 1e-3)


def _shape_keeping_voxels(box: Box, geometry: Geometry, model: DramModel) -> Index3:
    """Crop shape at which a region's voxels are as large as those the model was trained on."""
    extent_mm = np.array(box.shape) * np.array(geometry.spacing_mm)
    sides = np.maximum(SIDE, np.ceil(extent_mm / np.array(model.crop_spacing_mm) / SIDE) * SIDE)
    if sides.prod() > MOST_VOXELS:
        sides = np.maximum(SIDE, np.floor(sides * (MOST_VOXELS / sides.prod()) ** (1 / 3) / SIDE) * SIDE)
    if model.prepare.crop_shape[0] == 1:
        sides[0] = 1
    z, y, x = (int(side) for side in sides)
    return z, y, x
