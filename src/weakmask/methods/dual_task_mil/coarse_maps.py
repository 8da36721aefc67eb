"""The classifier, and its Grad-CAM: the coarse label of every crop."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from weakmask.activation.cam import enlarged
from weakmask.activation.grad_cam import gradient_maps
from weakmask.methods.dual_task_mil.config import DualTaskSettings
from weakmask.networks.classifiers import EncoderClassifier, RegionClassifier
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.region_learning.bag_batches import load_bags
from weakmask.region_learning.bag_classifier import (
    Classifier,
    InputOf,
    image_alone,
    train_classifier,
    trained_classifier,
    with_region,
)
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.crop_maps import quantile_inside, write_crop_maps, write_scale

MAPS = "maps"
LAST = "bottom"  # the layer whose output are the last features


def classification(work: Work[DualTaskSettings]) -> None:
    """Train the classifier of regions with and without lesions; leaves what `train_classifier` does."""
    config = work.config
    arguments = {"dimensions": dimensions_of(config.prepare), "width": config.network.width}
    kinds = {"region": ("region_classifier", with_region), "crop": ("encoder_classifier", image_alone)}
    name, of = kinds[config.classification.pool]
    train_classifier(work, Classifier(name, arguments, of), config.classification)


def grad_cam(work: Work[DualTaskSettings]) -> None:
    """Write maps/ of the training crops, and in scale.csv the value that is 1 in them."""
    crops, network = load_bags(work, "training"), classifier_of(work)
    device = next(network.parameters()).device
    parts = zip(crops.image.split(16), crops.region.split(16), strict=True)
    inputs = (input_of(network)(image.float().to(device), region.float().to(device)) for image, region in parts)
    coarse = torch.cat([coarse_map(network, batch).cpu() for batch in inputs])
    shape = tuple(crops.image.shape[2:])

    def maps() -> Iterable[np.ndarray]:
        """The map of each crop, one after the other."""
        for one in coarse.split(1):
            yield enlarged(one, shape, network.stride)[0, 0].numpy()

    scale = quantile_inside(zip(maps(), crops.region[:, 0].numpy(), strict=True), work.config.grad_cam.quantile)
    write_crop_maps(work.out / MAPS, (np.minimum(values / scale, 1.0) for values in track(maps(), "maps", len(crops))))
    write_scale(work.out, scale)


def classifier_of(work: Work[DualTaskSettings]) -> EncoderClassifier:
    """The trained classifier.

    Raises:
        TypeError: The stage has left another network.
    """
    network = trained_classifier(work, "classification")
    if not isinstance(network, EncoderClassifier):
        raise TypeError(f"the stage classification left a {type(network).__name__}")
    return network


def input_of(network: EncoderClassifier) -> InputOf:
    """Crops and regions -> the input of the classifier."""
    return with_region if isinstance(network, RegionClassifier) else image_alone


def coarse_map(
    network: EncoderClassifier, image: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch 1 *coarse"]:
    """Grad-CAM of `lesion` at the last features, not rescaled; the image is the network's whole input."""
    with torch.inference_mode(mode=False):  # inside it no gradient can be taken
        return gradient_maps(network, LAST, image.clone(), (0,), "gradcam")[0]


def grad_cam_activation(
    network: EncoderClassifier, image: Float[Tensor, "batch channel *space"], region: Float[Tensor, "batch 1 *space"]
) -> Float[Tensor, "batch 1 *space"]:
    """Grad-CAM on the grid of the crops, zero outside the regions; not rescaled."""
    coarse = coarse_map(network, input_of(network)(image, region))
    return enlarged(coarse, tuple(image.shape[2:]), network.stride) * region
