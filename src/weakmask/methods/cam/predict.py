"""A scan and its regions -> class activation map and mask on the scan's own grid, and a score per region.

Xie et al. 2021, section IV-C-2: the maps of a scan's regions are tiled back to one map of the scan, which is rescaled
to [0, 1] and cut by Otsu's threshold; refined, what lies outside the lesion proposal is taken away.
"""

from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weakmask.activation.cam import class_activation_map, enlarged, unit_range
from weakmask.methods.cam.config import CamSettings, MapSettings
from weakmask.networks.classifiers import EncoderClassifier
from weakmask.refinement.lesion_candidates import lesion_candidates
from weakmask.refinement.otsu import otsu_threshold
from weakmask.refinement.vessels import vessel_mask
from weakmask.region_learning.prediction import Prediction, as_prediction
from weakmask.region_learning.region_model import RegionModel, load_region_model
from weakmask.region_learning.scan_map import scan_map
from weakmask.volume.volume import Volume


def load_model(path: Path, device: torch.device) -> RegionModel:
    """Read a model file.

    Raises:
        UserError: Not a weights file of weakmask, or of another method.
    """
    return load_region_model(path, device, "cam", CamSettings)


def predict_scan(model: RegionModel, image: Volume, regions: Volume, *, trained_regions: bool = True) -> Prediction:
    """Segment one scan.

    Args:
        model: A trained model.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        trained_regions: Whether the regions are of the kind the model was trained on, see `scan_map`.
    """
    activation_of = partial(crop_activation, cast("EncoderClassifier", model.network))
    found = scan_map(model, activation_of, image, regions, trained_regions=trained_regions)
    inside = regions.voxels > 0
    activation = unit_range(found, inside)
    mask = otsu_mask(activation, inside)
    if model.config.maps.refine:
        mask &= proposal(image, inside, model.config.maps)
    return as_prediction(model.score_map, regions, activation, mask)


def crop_activation(
    network: EncoderClassifier, image: Float[Tensor, "batch channel *space"], region: Float[Tensor, "batch 1 *space"]
) -> Float[Tensor, "batch 1 *space"]:
    """The class activation map of crops, in logits at the crops' resolution, zero outside the regions."""
    coarse = class_activation_map(network.features(image), network.linear.weight)
    return enlarged(coarse, tuple(image.shape[2:]), network.stride) * region


def otsu_mask(activation: Float[np.ndarray, "z y x"], inside: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Where a scan's map is above Otsu's threshold of its values inside; nowhere if it has but one value.

    Every other map has two classes, also that of a healthy scan: the paper does not ask the classifier first.
    """
    return inside & (activation > otsu_threshold(activation[inside]))


def proposal(image: Volume, inside: Bool[np.ndarray, "z y x"], settings: MapSettings) -> Bool[np.ndarray, "z y x"]:
    """Where lesions may be: high attenuation by one Otsu threshold over all regions, vessels excluded if wanted."""
    wanted = settings.exclude_vessels
    vessels = vessel_mask(image, inside, settings.vessel_sigmas_mm).voxels > 0 if wanted else None
    found = lesion_candidates(image, inside, vessels, settings.proposal_factor, settings.proposal_window)
    return found.voxels > 0
