"""Lesion maps of a classifier that needs no gradient for them, their masks, and the model that `predict` uses."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from weakmask.pipeline import Stage, Work
from weakmask.region_learning.bag_batches import load_bags
from weakmask.region_learning.bag_classifier import InputOf, trained_classifier
from weakmask.region_learning.bag_settings import LocalisationSettings
from weakmask.region_learning.classifying_segmenter import ClassifyingSegmenter
from weakmask.region_learning.crop_maps import in_unit_range, quantile_inside
from weakmask.region_learning.cut_model import CutModel
from weakmask.region_learning.held_out_cut import held_out_cut, maps_of_crops
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.region_model import write_model
from weakmask.region_learning.run_report import ReportText, about_model
from weakmask.region_learning.scan_map import Activation, scan_map
from weakmask.region_learning.segmenter import MapAndMask, RegionSegmenter
from weakmask.region_learning.settings import PrepareSettings
from weakmask.training.devices import device_of
from weakmask.volume.volume import Volume

QUANTILE = 0.98  # of the training maps, the value that becomes one half
StageFunction = Callable[[Any], None]
RawMap = Callable[[nn.Module, Any, Tensor, Tensor], Tensor]  # network, settings, crops, regions -> maps, at least 0


def localisation_stages(
    classification: StageFunction, model: StageFunction, maps: StageFunction, evaluate: StageFunction
) -> tuple[Stage, ...]:
    """The stages of a method that trains a classifier and makes maps of it: its functions in their order."""
    crops = ("device", "data", "prepare")
    learnt = ("seed", *crops, "network", "classification")
    return (
        Stage("prepare", prepare, settings=crops),
        Stage("classification", classification, after=("prepare",), settings=learnt, resumable=True),
        Stage("model", model, after=("prepare", "classification")),
        Stage("maps", maps, after=("prepare", "model")),
        Stage("evaluation", evaluate, after=("prepare", "classification", "maps")),
    )


def write_localisation_model(work: Work, raw_map: RawMap) -> None:
    """Write model.safetensors of the classifier of stage `classification`, with the scale and the cut of its maps.

    Raises:
        UserError: No region without lesions is held out.
    """
    config = work.config
    network = trained_classifier(work, "classification")
    found = partial(raw_map, network, config.maps)
    training = load_bags(work, "training")
    scale = quantile_inside(maps_of_crops(training, found, device_of(config.device)), QUANTILE)
    cut = held_out_cut(work, gated(scaled(found, scale), config.maps, config.prepare), config.maps.scales)
    write_model(work, work.stage("classification") / "last.safetensors", {"cut": cut, "scale": scale})


def localisation_segmenter(
    model: CutModel, raw_map: RawMap, input_of: InputOf, text: ReportText
) -> ClassifyingSegmenter:
    """The model ready to segment.

    Args:
        model: The classifier with the scale and the cut of its maps.
        raw_map: How the classifier makes maps.
        input_of: How crops become its input.
        text: Of the report.
    """
    regional = model.regional
    activation = scaled(partial(raw_map, regional.network, regional.config.maps), model.scale)
    about = about_model(text, regional, (("cut", f"{model.cut:.3f}"),))
    return ClassifyingSegmenter(
        RegionSegmenter(regional, about, partial(map_and_mask, model, activation)),
        input_of,
    )


def map_and_mask(
    model: CutModel, activation: Activation, image: Volume, regions: Volume, *, known: Collection[int]
) -> MapAndMask:
    """The map of a scan in [0, 1) and the mask, by the rule of the model's settings.

    Args:
        model: With its cut.
        activation: Crops and regions -> maps in [0, 1), not gated.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        known: Labels of the regions that the model was trained on, see `scan_map`.
    """
    regional = model.regional
    settings: LocalisationSettings = regional.config.maps
    inside = regions.voxels > 0
    if settings.rule == "clean cut":
        found = scan_map(regional, gated(activation, settings, regional.prepare), image, regions, known=known)
        return found, (found >= model.cut) & inside
    found = scan_map(regional, activation, image, regions, known=known)
    mask = highest(found, inside, settings.share)
    return found, mask if settings.gate_hu is None else mask & (image.voxels > settings.gate_hu)


def highest(
    values: Float[np.ndarray, "z y x"], inside: Bool[np.ndarray, "z y x"], share: float
) -> Bool[np.ndarray, "z y x"]:
    """Mark the highest values inside, as many as the share says; equals at the border are left out."""
    if not inside.any():
        return np.zeros_like(inside)
    return inside & (values > np.quantile(values[inside], 1.0 - share))


def scaled(raw: Activation, scale: float) -> Activation:
    """Maps brought into [0, 1), one half at the scale."""

    def activation(image: Tensor, region: Tensor) -> Tensor:
        """The scaled map."""
        return in_unit_range(raw(image, region), scale)

    return activation


def gated(raw: Activation, settings: LocalisationSettings, prepare: PrepareSettings) -> Activation:
    """Maps that are zero where the crop is not brighter than `gate_hu`; unchanged without a gate."""
    if settings.gate_hu is None:
        return raw
    low, high = prepare.window
    level = (settings.gate_hu - low) / (high - low)

    def activation(image: Tensor, region: Tensor) -> Tensor:
        """The gated map."""
        return raw(image, region) * (image > level)

    return activation
