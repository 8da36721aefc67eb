"""Stages 3 to 5: the model file; maps, masks and scores of the scans that are judged; their tables."""

from functools import partial

from weakmask.methods.supervised.predict import load_model, predict_scan
from weakmask.pipeline import Work
from weakmask.region_learning.evaluate_run import judge_masks
from weakmask.region_learning.region_model import MODEL, write_model
from weakmask.region_learning.write_predictions import write_maps
from weakmask.training.devices import device_of

ROW = "supervised U-Net"


def model(work: Work) -> None:
    """Stage 3: write model.safetensors."""
    write_model(work, work.stage("segmentation") / f"{work.config.segmentation.keep}.safetensors")


def maps(work: Work) -> None:
    """Stage 4: activation/, masks/ and scores.csv."""
    trained = load_model(work.stage("model") / MODEL, device_of(work.config.device))
    write_maps(work, partial(predict_scan, trained))


def judge(work: Work) -> None:
    """Stage 5: the tables."""
    judge_masks(work, {ROW: work.stage("maps") / "masks"})
