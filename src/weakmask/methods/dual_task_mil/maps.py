"""Networks -> the model file with its cut; model and scans -> maps, masks and scores, and their tables."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from weakmask.activation.dram import dense_regression_map
from weakmask.methods.dual_task_mil.coarse_maps import grad_cam_activation
from weakmask.methods.dual_task_mil.config import DualTaskSettings
from weakmask.methods.dual_task_mil.patches import patch_activation
from weakmask.methods.dual_task_mil.report import report_text
from weakmask.networks.classifiers import EncoderClassifier
from weakmask.networks.instance_network import InstanceNetwork
from weakmask.pipeline import Work
from weakmask.prediction import Limits
from weakmask.region_learning.bag_classifier import trained_classifier, write_classifier_score
from weakmask.region_learning.crop_maps import in_unit_range, read_scale
from weakmask.region_learning.cut_model import CutModel, load_cut_model
from weakmask.region_learning.evaluate_run import evaluate_run
from weakmask.region_learning.held_out_cut import held_out_cut
from weakmask.region_learning.region_model import write_model
from weakmask.region_learning.run_report import about_model
from weakmask.region_learning.scan_map import Activation
from weakmask.region_learning.segmenter import RegionSegmenter, threshold_map
from weakmask.region_learning.write_predictions import write_predictions
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of


def result_stage(config: DualTaskSettings) -> str:
    """The stage whose network makes the maps of the result."""
    again = "-again" if config.rounds > 1 else ""
    return {
        "grad-cam": "classification",
        "patches": f"patches{again}",
        "segmentation": f"segmentation{again}",
    }[config.maps.of]


def model(work: Work[DualTaskSettings]) -> None:
    """Write model.safetensors, with the cut that is chosen on held-out regions without lesions.

    Raises:
        UserError: No region without lesions is held out.
    """
    config, stage = work.config, result_stage(work.config)
    scale = read_scale(work.stage("grad-cam"))
    network = trained_classifier(work, stage)
    cut = held_out_cut(work, activation_of(network, config, scale), config.maps.scales)
    write_model(work, work.stage(stage) / "last.safetensors", {"cut": cut, "scale": scale})


def activation_of(network: torch.nn.Module, config: DualTaskSettings, scale: float) -> Activation:
    """Crops and regions -> maps in [0, 1], by the network of any step.

    Args:
        network: In evaluation mode.
        config: Of its run.
        scale: The value of Grad-CAM that becomes one half.
    """
    if isinstance(network, InstanceNetwork):
        return partial(patch_activation, network, config.patches)
    if not isinstance(network, EncoderClassifier):
        return partial(dense_regression_map, network)
    classifier = network

    def scaled(image: Tensor, region: Tensor) -> Tensor:
        """Grad-CAM without a largest value."""
        return in_unit_range(grad_cam_activation(classifier, image, region), scale)

    return scaled


def maps(work: Work[DualTaskSettings]) -> None:
    """Write activation/, masks/ and scores.csv."""
    write_predictions(work, load(work.stage("model") / MODEL, device_of(work.config.device)))


def evaluate(work: Work[DualTaskSettings]) -> None:
    """Write the tables, and classifier.csv: how well the classifier tells held-out regions apart."""
    evaluate_run(work, {report_text(work.config).row: work.stage("maps") / "masks"})
    write_classifier_score(work, "classification")


def load(path: Path, device: torch.device, limits: Limits | None = None) -> RegionSegmenter:  # noqa: ARG001
    """Read a model file; the limits are not needed.

    Raises:
        UserError: Not a weights file of this package, or of another method.
    """
    return segmenter(load_cut_model(path, device, "dual_task_mil", DualTaskSettings))


def segmenter(model: CutModel) -> RegionSegmenter:
    """The model ready to segment; its cut is among the key numbers of a report."""
    regional = model.regional
    activation = activation_of(regional.network, regional.config, model.scale)
    about = about_model(report_text(regional.config), regional, (("cut", f"{model.cut:.3f}"),))
    return RegionSegmenter(regional, about, threshold_map(activation, model.cut, regional))
