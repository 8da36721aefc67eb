"""A scan and its regions -> the supervised network's map and mask on the scan's own grid, and a score per region."""

from functools import partial
from pathlib import Path

import torch

from weakmask.activation.dram import dense_regression_map
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.region_learning.prediction import Prediction, as_prediction
from weakmask.region_learning.region_model import RegionModel, load_region_model
from weakmask.region_learning.scan_map import scan_map
from weakmask.volume.volume import Volume


def load_model(path: Path, device: torch.device) -> RegionModel:
    """Read a model file.

    Raises:
        UserError: Not a weights file of weakmask, or of another method.
    """
    return load_region_model(path, device, "supervised", SupervisedSettings)


def predict_scan(model: RegionModel, image: Volume, regions: Volume, *, trained_regions: bool = True) -> Prediction:
    """Segment one scan.

    Args:
        model: A trained model.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        trained_regions: Whether the regions are of the kind the model was trained on, see `scan_map`.
    """
    # a U-Net's probability inside the region: made as dRAM's map is, learned otherwise
    probability_of = partial(dense_regression_map, model.network)
    found = scan_map(model, probability_of, image, regions, trained_regions=trained_regions)
    mask = (found >= model.config.maps.threshold) & (regions.voxels > 0)
    return as_prediction(model.score_map, regions, found, mask)
