"""Network -> model file; model and scans -> class activation maps, masks and scores, and their tables.

Xie et al. 2021, section IV-C-2: the maps of a scan's regions are tiled back to one map of the scan, which is rescaled
to [0, 1] and cut by Otsu's threshold; the refined mask is kept inside the lesion proposal.
"""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weakmask.activation.cam import class_activation_map, enlarged, unit_range
from weakmask.methods.cam.config import CamSettings, MapSettings
from weakmask.methods.cam.report import RAW_ROW, report_text, row_of
from weakmask.networks.classifiers import EncoderClassifier
from weakmask.pipeline import Work
from weakmask.prediction import Limits, Prediction
from weakmask.refinement.lesion_candidates import lesion_candidates
from weakmask.refinement.otsu import otsu_threshold
from weakmask.refinement.vessels import vessel_mask
from weakmask.region_learning.evaluate_run import evaluate_run
from weakmask.region_learning.region_model import RegionModel, load_region_model, write_model
from weakmask.region_learning.run_report import about_model
from weakmask.region_learning.scan_map import scan_map
from weakmask.region_learning.score_calibration import calibrate_score_sets
from weakmask.region_learning.segmenter import MapAndMask, RegionSegmenter
from weakmask.region_learning.write_predictions import write_predictions
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

RAW = "masks-raw"


def model(work: Work) -> None:
    """Write model.safetensors, with sets of scores where enough scans are held out."""
    write_model(work, work.stage("classification") / f"{work.config.classification.keep}.safetensors")
    calibrate_score_sets(work, load)


def maps(work: Work) -> None:
    """Write activation/, masks/ and scores.csv, and masks-raw/ where the masks are refined."""
    trained = load(work.stage("model") / MODEL, device_of(work.config.device))
    write_predictions(work, trained, partial(_write_raw, work) if work.config.maps.refine else None)


def evaluate(work: Work) -> None:
    """Write the tables; a refined run has a second row, of its raw masks."""
    folder = work.stage("maps")
    masks = {row_of(refine=work.config.maps.refine): folder / "masks"}
    if work.config.maps.refine:
        masks[RAW_ROW] = folder / RAW
    evaluate_run(work, masks)


def _write_raw(work: Work, name: str, found: Prediction) -> None:
    if found.regions is None:
        raise ValueError("a prediction of CAM has regions")
    raw = otsu_mask(found.maps["activation"].voxels, found.regions.voxels > 0)
    write_volume(Volume(raw, found.mask.geometry, "label"), work.out / RAW / f"{name}.nii.gz")


def load(path: Path, device: torch.device, limits: Limits | None = None) -> RegionSegmenter:  # noqa: ARG001
    """Read a model file; the limits are not needed.

    Raises:
        UserError: Not a weights file of this package, or of another method.
    """
    return segmenter(load_region_model(path, device, "cam", CamSettings))


def segmenter(model: RegionModel) -> RegionSegmenter:
    """The model ready to segment."""
    return RegionSegmenter(model, about_model(report_text(model.config), model), partial(map_and_mask, model))


def map_and_mask(model: RegionModel, image: Volume, regions: Volume, *, known: Collection[int]) -> MapAndMask:
    """The map of a scan in [0, 1] and the mask.

    Args:
        model: A trained model.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        known: Labels of the regions that the model was trained on, see `scan_map`.
    """
    activation_of = partial(crop_activation, cast("EncoderClassifier", model.network))
    found = scan_map(model, activation_of, image, regions, known=known)
    inside = regions.voxels > 0
    activation = unit_range(found, inside)
    mask = otsu_mask(activation, inside)
    if model.config.maps.refine:
        mask &= proposal(image, inside, model.config.maps)
    return activation, mask


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
