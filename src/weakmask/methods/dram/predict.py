"""A scan and its regions -> activation map and mask on the scan's own grid, and a score per region."""

from functools import partial

import numpy as np
from jaxtyping import Float

from weakmask.activation.dram import dense_regression_map
from weakmask.methods.dram.context import segment_in_context
from weakmask.methods.dram.model import DramModel
from weakmask.region_learning.prediction import Prediction, as_prediction
from weakmask.region_learning.scan_map import scan_map
from weakmask.volume.volume import Volume


def predict_scan(model: DramModel, image: Volume, regions: Volume, *, trained_regions: bool = True) -> Prediction:
    """Segment one scan.

    Args:
        model: A trained model.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        trained_regions: Whether the regions are of the kind the model was trained on, see `scan_map`.
    """
    if model.context is not None:
        activation, mask = segment_in_context(model, image, regions)
    else:
        activation = map_of_scan(model, image, regions, trained_regions=trained_regions)
        mask = (activation >= model.threshold) & (regions.voxels > 0)
    return as_prediction(model.regional.score_map, regions, activation, mask)


def map_of_scan(
    model: DramModel, image: Volume, regions: Volume, *, trained_regions: bool = True
) -> Float[np.ndarray, "z y x"]:
    """The regression's map on the scan's grid, in [0, 1], zero outside the regions; arguments as `predict_scan`."""
    probability_of = partial(dense_regression_map, model.regional.network)
    return scan_map(model.regional, probability_of, image, regions, trained_regions=trained_regions)
