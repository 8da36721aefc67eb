"""Network -> model file with its threshold; model and scans -> activation maps, masks and scores, and their tables."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from weakmask.activation.dram import dense_regression_map
from weakmask.csv_table import read_csv
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.context import segment_in_context
from weakmask.methods.dram.model import DramModel, load_model, save_model
from weakmask.methods.dram.report import report_text, row_of
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.prediction import Limits
from weakmask.progress import track
from weakmask.region_learning.crops import inside_of
from weakmask.region_learning.evaluate_run import evaluate_run
from weakmask.region_learning.region_model import RegionModel, trained_network, trained_on
from weakmask.region_learning.run_report import about_model
from weakmask.region_learning.scan_map import crop_map, scan_map
from weakmask.region_learning.score_calibration import calibrate_score_sets
from weakmask.region_learning.segmenter import MapAndMask, RegionSegmenter
from weakmask.region_learning.threshold_baselines import choose_fixed_threshold, value_histogram
from weakmask.region_learning.write_predictions import write_predictions
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import MODEL, load_weights
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume


def model(work: Work) -> None:
    """Write model.safetensors; the threshold is the configured one or is chosen on the training scores."""
    config: DramSettings = work.config
    weights = work.stage("regression") / f"{config.regression.keep}.safetensors"
    network = trained_network(*load_weights(weights), weights)
    score_map = noted_cohort(config.data.cohort, work).score_map
    path, threshold = work.out / MODEL, config.maps.threshold
    save = partial(save_model, path, network, config, score_map=score_map, trained_on=trained_on(work))
    if threshold == "scores":
        save(threshold=0.5)  # the maps that the threshold is chosen on do not depend on it
        threshold = _threshold_from_scores(work, load_model(path, device_of(config.device)).regional, score_map)
        work.note(f"threshold of the map chosen on the training scores: {threshold:.3f}")
    save(threshold=threshold)
    if not config.context.train:
        calibrate_score_sets(work, load)


def maps(work: Work) -> None:
    """Write activation/, masks/ and scores.csv of the test cohort, or of the validation scans without one."""
    config: DramSettings = work.config
    write_predictions(work, load(work.stage(model_stage(config)) / MODEL, device_of(config.device)))


def evaluate(work: Work) -> None:
    """Write the tables."""
    evaluate_run(work, {row_of(work.config): work.stage("maps") / "masks"})


def model_stage(config: DramSettings) -> str:
    """The stage that leaves the model for `predict`: the context network's, if there is one."""
    return "context-model" if config.context.train else "model"


def load(path: Path, device: torch.device, limits: Limits | None = None) -> RegionSegmenter:
    """Read a model file.

    Raises:
        UserError: Not a weights file of this package, or of another method.
    """
    return segmenter(load_model(path, device, limits or Limits()))


def segmenter(model: DramModel) -> RegionSegmenter:
    """The model ready to segment; its threshold is among the key numbers of a report."""
    config: DramSettings = model.regional.config
    context = config.context.model_copy(update={"train": model.context is not None})  # it may be the regression's
    text = report_text(config.model_copy(update={"context": context}))
    about = about_model(text, model.regional, (("threshold", f"{model.threshold:.2f}"),))
    about = replace(about, notes=model.notes)
    return RegionSegmenter(model.regional, about, partial(map_and_mask, model), has_probability_maps=True)


def map_and_mask(model: DramModel, image: Volume, regions: Volume, *, known: Collection[int]) -> MapAndMask:
    """The map of a scan in [0, 1] and the mask.

    Args:
        model: A trained model.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.
        known: Labels of the regions that the model was trained on, see `scan_map`.
    """
    if model.context is not None:
        return segment_in_context(model, image, regions)
    activation = map_of_scan(model, image, regions, known=known)
    return activation, (activation >= model.threshold) & (regions.voxels > 0)


def map_of_scan(
    model: DramModel, image: Volume, regions: Volume, *, known: Collection[int] | None = None
) -> Float[np.ndarray, "z y x"]:
    """The regression's map on the scan's grid, in [0, 1], zero outside the regions; arguments as `map_and_mask`."""
    probability_of = partial(dense_regression_map, model.regional.network)
    return scan_map(model.regional, probability_of, image, regions, known=known)


def _threshold_from_scores(work: Work, trained: RegionModel, score_map: ScoreMap) -> float:
    """The threshold of the averaged map at which the training regions' fractions fit their intervals best."""
    prepared = work.stage("prepare")
    training = read_csv(prepared / "index.csv").query("split == 'training'")
    probability_of = partial(dense_regression_map, trained.network)
    edges = np.linspace(0.0, 1.0, 201)
    histograms = []
    for file in track(training["file"], "threshold", len(training)):
        crop = read_volume(prepared / file)
        histograms.append(value_histogram(crop_map(trained, probability_of, crop)[inside_of(crop)], edges))
    return choose_fixed_threshold(np.stack(histograms), edges, training["score"].tolist(), score_map)
