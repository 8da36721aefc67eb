"""Network -> model file; model and scans -> maps, masks and scores, and their tables."""

from functools import partial
from pathlib import Path

import torch

from weakmask.activation.dram import dense_regression_map
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.methods.supervised.report import ROW, report_text
from weakmask.pipeline import Work
from weakmask.prediction import Limits
from weakmask.region_learning.evaluate_run import evaluate_run
from weakmask.region_learning.region_model import RegionModel, load_region_model, write_model
from weakmask.region_learning.run_report import about_model
from weakmask.region_learning.score_calibration import calibrate_score_sets
from weakmask.region_learning.segmenter import RegionSegmenter, threshold_map
from weakmask.region_learning.write_predictions import write_predictions
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of


def model(work: Work) -> None:
    """Write model.safetensors, with sets of scores where enough scans are held out."""
    write_model(work, work.stage("segmentation") / f"{work.config.segmentation.keep}.safetensors")
    calibrate_score_sets(work, load)


def maps(work: Work) -> None:
    """Write activation/, masks/ and scores.csv."""
    write_predictions(work, load(work.stage("model") / MODEL, device_of(work.config.device)))


def evaluate(work: Work) -> None:
    """Write the tables."""
    evaluate_run(work, {ROW: work.stage("maps") / "masks"})


def load(path: Path, device: torch.device, limits: Limits | None = None) -> RegionSegmenter:  # noqa: ARG001
    """Read a model file; the limits are not needed.

    Raises:
        UserError: Not a weights file of this package, or of another method.
    """
    return segmenter(load_region_model(path, device, "supervised", SupervisedSettings))


def segmenter(model: RegionModel) -> RegionSegmenter:
    """The model ready to segment: a U-Net's probability inside the regions, cut at `maps.threshold`."""
    probability_of = partial(dense_regression_map, model.network)  # made as dRAM's map is, learned otherwise
    about = about_model(report_text(model.config), model)
    segment_volume = threshold_map(probability_of, model.config.maps.threshold, model)
    return RegionSegmenter(model, about, segment_volume, has_probability_maps=True)
