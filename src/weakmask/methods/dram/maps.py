"""Stages 4 and 7: the model file with its threshold; maps, masks and scores of the scans that are judged."""

from functools import partial

import numpy as np
import pandas as pd

from weakmask.activation.dram import dense_regression_map
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.model import load_model, save_model
from weakmask.methods.dram.predict import predict_scan
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.region_learning.crops import inside_of
from weakmask.region_learning.region_model import MODEL, RegionModel, trained_network, trained_on
from weakmask.region_learning.scan_map import crop_map
from weakmask.region_learning.threshold_baselines import choose_fixed_threshold, value_histogram
from weakmask.region_learning.usable_cases import read_usable
from weakmask.region_learning.write_predictions import write_maps
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume


def model(work: Work) -> None:
    """Stage 4: write model.safetensors; the threshold is the configured one or is chosen on the training scores."""
    config: DramSettings = work.config
    network = trained_network(*load_weights(work.stage("regression") / f"{config.regression.keep}.safetensors"))
    score_map = read_usable(config.data.cohort, work).score_map
    path, threshold = work.out / MODEL, config.maps.threshold
    save = partial(save_model, path, network, config, score_map=score_map, trained_on=trained_on(work))
    if threshold != "scores":
        save(threshold=threshold)
        return
    save(threshold=0.5)  # which the maps, that the threshold is chosen on, do not depend on
    chosen = _threshold_from_scores(work, load_model(path, device_of(config.device)).regional, score_map)
    work.note(f"threshold of the map chosen on the training scores: {chosen:.3f}")
    save(threshold=chosen)


def maps(work: Work) -> None:
    """Stage 7: activation/, masks/ and scores.csv of the test cohort, or of the validation scans without one."""
    config: DramSettings = work.config
    stage = "context-model" if config.context.train else "model"
    trained = load_model(work.stage(stage) / MODEL, device_of(config.device))
    write_maps(work, partial(predict_scan, trained))


def _threshold_from_scores(work: Work, trained: RegionModel, score_map: ScoreMap) -> float:
    """The threshold of the averaged map at which the training regions' fractions fit their intervals best."""
    prepared = work.stage("prepare")
    training = pd.read_csv(prepared / "index.csv").query("split == 'training'")
    probability_of = partial(dense_regression_map, trained.network)
    edges = np.linspace(0.0, 1.0, 201)
    histograms = []
    for file in track(training["file"], "threshold", len(training)):
        crop = read_volume(prepared / file)
        histograms.append(value_histogram(crop_map(trained, probability_of, crop)[inside_of(crop)], edges))
    return choose_fixed_threshold(np.stack(histograms), edges, training["score"].tolist(), score_map)
