"""The classifier, and the lesion maps that its linear layers and kernels give."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weakmask.activation.strided_map import placed
from weakmask.methods.decovnet.config import DeCoVNetSettings
from weakmask.methods.decovnet.report import report_text
from weakmask.networks.decovnet import DeCoVNet
from weakmask.networks.decovnet_trunk import FIRST, STRIDES
from weakmask.pipeline import Work
from weakmask.prediction import Limits
from weakmask.region_learning.bag_classifier import Classifier, train_classifier, with_region, write_classifier_score
from weakmask.region_learning.bag_settings import LocalisationSettings
from weakmask.region_learning.classifying_segmenter import ClassifyingSegmenter
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.cut_model import load_cut_model
from weakmask.region_learning.evaluate_run import evaluate_run
from weakmask.region_learning.localisation import localisation_segmenter, write_localisation_model
from weakmask.region_learning.write_predictions import write_predictions
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of


def classification(work: Work[DeCoVNetSettings]) -> None:
    """Train the classifier of regions with and without lesions; leaves what `train_classifier` does."""
    config = work.config
    arguments = {"dimensions": dimensions_of(config.prepare), **config.network.model_dump()}
    train_classifier(work, Classifier("decovnet", arguments, with_region), config.classification)


def raw_map(
    network: nn.Module,
    settings: LocalisationSettings,  # noqa: ARG001 (one signature for all localisations)
    image: Float[Tensor, "batch 1 *space"],
    region: Float[Tensor, "batch 1 *space"],
) -> Float[Tensor, "batch 1 *space"]:
    """The lesion map on the grid of the crops, at least 0 and zero outside the regions.

    Raises:
        TypeError: The network is another one.
    """
    if not isinstance(network, DeCoVNet):
        raise TypeError(f"a {type(network).__name__}; expected DeCoVNet")
    with torch.no_grad():
        coarse = network.localisation(with_region(image, region))
    axes = image.ndim - 2
    return placed(coarse, image.shape[2:], STRIDES[-axes:], FIRST[-axes:]) * region


def model(work: Work[DeCoVNetSettings]) -> None:
    """Write model.safetensors, with the cut that is chosen on held-out regions without lesions."""
    write_localisation_model(work, raw_map)


def maps(work: Work[DeCoVNetSettings]) -> None:
    """Write activation/, masks/ and scores.csv."""
    write_predictions(work, load(work.stage("model") / MODEL, device_of(work.config.device)))


def evaluate(work: Work[DeCoVNetSettings]) -> None:
    """Write the tables, and classifier.csv: how well the classifier tells held-out regions apart."""
    evaluate_run(work, {report_text(work.config).row: work.stage("maps") / "masks"})
    write_classifier_score(work, "classification")


def load(path: Path, device: torch.device, limits: Limits | None = None) -> ClassifyingSegmenter:  # noqa: ARG001
    """Read a model file; the limits are not needed.

    Raises:
        UserError: Not a weights file of this package, or of another method.
    """
    trained = load_cut_model(path, device, "decovnet", DeCoVNetSettings)
    return localisation_segmenter(trained, raw_map, with_region, report_text(trained.regional.config))
