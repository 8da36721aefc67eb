"""The maps stage: classifier and pictures -> an activation map of each class that is present."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.activation import average_over_scales, by_maximum, by_range, gradient_maps, with_mirror
from weakmask.activation.cam import class_activation_map
from weakmask.csv_table import read_csv
from weakmask.methods.wsmis.classification import BATCH, PROBABILITIES
from weakmask.methods.wsmis.config import MapSettings, WsmisSettings
from weakmask.methods.wsmis.picture_set import PictureSet, known_presence, read_labels, read_pictures, write_picture
from weakmask.networks import network_with
from weakmask.networks.backbones import BackboneClassifier
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import device_of

RULES = {"range": by_range, "maximum": by_maximum}


def maps(work: Work[WsmisSettings]) -> None:
    """Write maps/NUMBER/FILE for each class (from 1) that is in a picture, 255 times the map in [0, 1].

    A picture of one class has the map of the output for any class, if the classifier has that output.
    """
    device = device_of(work.config.device)
    network = read_classifier(work, device, work.config.maps.stride)
    pictures = learnt_and_evaluated(read_pictures(work.stage("prepare")))
    presence = known_presence(pictures, read_csv(work.stage("classification") / PROBABILITIES))
    positive = np.flatnonzero(presence.any(axis=1)).tolist()
    map_of = mapper(network, work.config.maps)
    batches = [positive[start : start + BATCH] for start in range(0, len(positive), BATCH)]
    for rows in track(batches, "maps", len(batches)):
        found = map_of(pictures.images(rows).to(device)).cpu().numpy()
        for row, of_picture in zip(rows, found, strict=True):
            places = np.flatnonzero(presence[row]).tolist()
            for place, output in zip(places, outputs_of(places, len(of_picture), len(pictures.classes)), strict=True):
                pixels = np.rint(255 * of_picture[output]).astype(np.uint8)
                write_picture(work.out / "maps" / str(place + 1) / pictures.files[row], pixels[None])


def outputs_of(places: Sequence[int], outputs: int, classes: int) -> Sequence[int]:
    """The output of the classifier whose map each class of a picture has.

    Args:
        places: The classes of the picture.
        outputs: Number of outputs: one per class, and perhaps one more for any class.
        classes: Number of classes.
    """
    return [classes] if len(places) == 1 and outputs > classes else places


def learnt_and_evaluated(pictures: PictureSet) -> PictureSet:
    """The training pictures, and those to evaluate on."""
    tested = "test" if "test" in set(pictures.table["split"]) else "validation"
    return pictures.of("training", tested)


def read_classifier(work: Work[WsmisSettings], device: torch.device, stride: int | None = None) -> BackboneClassifier:
    """The trained classifier.

    Args:
        work: The stage at work.
        device: Where it computes.
        stride: Pixels per voxel of its features, other than in its training: the weights fit each.
    """
    state, header = load_weights(work.stage("classification") / "last.safetensors")
    arguments = header["arguments"] if stride is None else header["arguments"] | {"stride": stride}
    network = network_with(header["network"], arguments, state)
    assert isinstance(network, BackboneClassifier)  # noqa: S101 - for the type checker
    return network.eval().to(device)


def mapper(
    network: BackboneClassifier, settings: MapSettings
) -> Callable[[Float[Tensor, "batch colour side side"]], Float[Tensor, "batch class side side"]]:
    """A function that maps pictures in [0, 1]: one map in [0, 1] per class, averaged over sizes and mirror image.

    The features are computed without a graph: gradients are needed behind them alone.
    """
    behind = _Behind(network).eval()

    def activation(image: Tensor, region: Tensor) -> Tensor:  # noqa: ARG001 - the region is the whole picture
        """Maps of one size, at the size of the picture."""
        with torch.no_grad():
            features = network.features(image).float()
        if settings.variant == "cam":
            coarse = class_activation_map(features, network.linear.weight.detach())
        else:
            coarse, _ = gradient_maps(behind, "features", features, variant=settings.variant)
        return F.interpolate(coarse, size=image.shape[2:], mode="bilinear", align_corners=False)

    each = with_mirror(activation) if settings.mirror else activation

    def map_of(image: Tensor) -> Tensor:
        """The averaged maps, in [0, 1]."""
        whole = torch.ones_like(image[:, :1])
        with torch.no_grad():
            return RULES[settings.rescale](somewhere_positive(average_over_scales(each, image, whole, settings.scales)))

    return map_of


class _Behind(nn.Module):
    """Features -> logits: the part of a classifier behind its features."""

    def __init__(self, network: BackboneClassifier) -> None:
        """Hold the classifier; gradients are taken with respect to `features`."""
        super().__init__()
        self.features, self.network = nn.Identity(), network

    def forward(self, features: Tensor) -> Tensor:
        """Logits."""
        return self.network.logits_of(self.features(features))


def somewhere_positive(maps: Float[Tensor, "batch class *space"]) -> Float[Tensor, "batch class *space"]:
    """max(m, 0); a map without a positive value is raised to begin at 0, as the picture has its class all the same."""
    places = tuple(range(2, maps.ndim))
    nowhere = maps.amax(places, keepdim=True) <= 0
    return torch.where(nowhere, maps - maps.amin(places, keepdim=True), maps.relu())


def read_maps(work: Work[WsmisSettings], pictures: PictureSet, row: int) -> Float[Tensor, "1 class side side"]:
    """The maps of a picture in [0, 1]; that of an absent class is 0 everywhere."""
    side = read_labels(pictures.folder / "pictures" / pictures.files[row]).shape
    found = torch.zeros(1, len(pictures.classes), *side)
    for place in range(len(pictures.classes)):
        file = work.stage("maps") / "maps" / str(place + 1) / pictures.files[row]
        if file.exists():
            found[0, place] = torch.from_numpy(read_labels(file)).float() / 255
    return found
