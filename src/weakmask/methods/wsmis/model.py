"""The model stage: both networks and the gate -> one file; and the trained model as `predict` uses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.config import parse
from weakmask.csv_table import read_csv
from weakmask.errors import UserError
from weakmask.methods.wsmis.classification import ANY, PROBABILITIES
from weakmask.methods.wsmis.config import Fraction, WsmisSettings
from weakmask.methods.wsmis.labels import regions_of
from weakmask.methods.wsmis.picture import averaged, picture_of, presence_of, resized, weighed
from weakmask.methods.wsmis.picture_set import CLASS, read_pictures
from weakmask.methods.wsmis.report_text import TITLE, methods_text
from weakmask.methods.wsmis.segmentation import last_round
from weakmask.networks import network_with
from weakmask.pipeline import Work, provenance
from weakmask.prediction import About, Limits, Prediction, Scan, Value
from weakmask.training.checkpoints import MODEL, load_weights, save_weights, under
from weakmask.training.model_header import (
    Facts,
    Header,
    Name,
    NetworkHeader,
    network_in,
    refuse_other_method,
    typed_header,
)
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume

CLASSIFIER, SEGMENTATION = "classifier", "segmentation"
UNKNOWN_GATE = 0.5  # without validation images to choose it
JUST_ABOVE = 1e-4  # more than the rounding of a probability


class ModelHeader(Header):
    """The header of a model file."""

    method: Name
    classes: Annotated[list[Name], Field(min_length=1, max_length=254)]
    gate: Fraction
    classifier: NetworkHeader
    segmentation: NetworkHeader
    config: dict[str, object]
    provenance: Facts = Field(default_factory=dict)


def model(work: Work[WsmisSettings]) -> None:
    """Write model.safetensors: both networks, and in the header all that a prediction needs."""
    parts: dict[str, nn.Module] = {}
    headers: dict[str, dict[str, object]] = {}
    folders = {CLASSIFIER: work.stage("classification"), SEGMENTATION: last_round(work.stage("segmentation"))}
    for name, folder in folders.items():
        state, header = load_weights(folder / "last.safetensors")
        headers[name] = {key: header[key] for key in ("network", "arguments")}
        parts[name] = network_with(header["network"], header["arguments"], state)
    described = {
        "method": work.config.method,
        "classes": list(read_pictures(work.stage("prepare")).classes),
        "gate": _gate(work),
        **headers,
        "config": work.config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    save_weights(work.out / MODEL, nn.ModuleDict(parts), described)


def _gate(work: Work[WsmisSettings]) -> float:
    """The probability below which an image stays empty, chosen by the classes of the validation images."""
    masks = work.config.masks
    if masks.gate is not None:
        return masks.gate
    pictures = read_pictures(work.stage("prepare")).of("validation")
    if not len(pictures):
        work.note(f"masks.gate is null and data.validation 0: an image stays empty below {UNKNOWN_GATE:g}")
        return UNKNOWN_GATE
    table = read_csv(work.stage("classification") / PROBABILITIES).set_index("file").loc[pictures.files]
    probable = table[ANY].to_numpy() if ANY in table else any_class(table.filter(like=CLASS).to_numpy())
    found = chosen_gate(probable[(pictures.presence == 0).all(axis=1)], masks.specificity)
    work.note(gate_note(found, evaluated_too=work.config.data.test is None))
    return found


def gate_note(gate: float, *, evaluated_too: bool) -> str:
    """The line about a chosen gate.

    Args:
        gate: The probability.
        evaluated_too: Whether the images that chose it are also those of the tables.
    """
    line = f"masks.gate is null: an image stays empty below {gate:.3g}, chosen by the validation images' classes"
    return f"{line}; the tables are of the same images, so their empties_right is too good" if evaluated_too else line


def any_class(presence: Float[np.ndarray, "image class"]) -> Float[np.ndarray, " image"]:
    """Probability that an image has any class: 1 - prod(1 - p), as for independent classes.

    An image whose lesion may be of either class counts as one with a lesion, though neither class is probable.
    """
    return 1 - (1 - presence).prod(axis=1)


def chosen_gate(probable: Float[np.ndarray, " image"], specificity: float) -> float:
    """The lowest probability below which a share of the images without any class lies; 0 without such images.

    Args:
        probable: The probability of any class, of images that have none.
        specificity: The share; all of them, if it is 1.
    """
    if not len(probable):
        return 0.0
    ordered, needed = np.sort(probable), int(np.ceil(specificity * len(probable)))
    return 0.0 if needed == 0 else float(min(ordered[needed - 1] + JUST_ABOVE, 1.0))


@dataclass(frozen=True)
class WsmisSegmenter:
    """A trained model that needs no regions.

    Attributes:
        classifier: Picture -> logit per class.
        network: Picture -> logits of pixels, background first.
        config: Settings of the run.
        provenance: Versions and machine of its training.
        classes: Names of the classes.
        gate: An image stays empty where the classifier's probability of any class is below this.
        device: Where it computes.
    """

    classifier: nn.Module
    network: nn.Module
    config: WsmisSettings
    provenance: Facts
    classes: tuple[str, ...]
    gate: float
    device: torch.device

    @property
    def needs_regions(self) -> Mapping[int, str]:
        """None."""
        return {}

    @property
    def needs_hounsfield(self) -> bool:
        """False: it learns grey values as they are."""
        return False

    @property
    def about(self) -> About:
        """Description of the model for a report."""
        return About(TITLE, methods_text(self.config), self.config.model_dump(mode="json"), self.provenance)

    def segment(self, scan: Scan) -> Prediction:
        """Segment one picture or single slice, of any size.

        The mask has 0 for background and then the classes in the order of labels.csv; the map `activation` is the
        probability of any class. The values are the classifier's probabilities of the classes.

        Raises:
            UserError: The scan has several slices, or the model gives no numbers.
        """
        picture, _ = picture_of(scan, self.config.prepare.window)
        small = torch.from_numpy(resized(picture, self.config.prepare.side))[None].float().to(self.device) / 255
        masks = self.config.masks
        with torch.inference_mode():
            found = presence_of(self.classifier, small)[0].cpu()
            coarse = averaged(self.network, small, masks.scales, mirror=masks.mirror).cpu()
        present, probable = found[: len(self.classes)], found[len(self.classes) :]
        if not bool(coarse.isfinite().all() and found.isfinite().all()):
            raise UserError(f"{scan.name}: the model gives pixels no number (NaN or infinity); the model is damaged")
        if masks.weigh:
            coarse = weighed(coarse, present[None])
        labels, foreground = _fine(coarse, picture.shape[1:], together=masks.weigh)
        if masks.region == "sharpest" and labels.any():
            region = _sharpest(coarse, torch.from_numpy(resized(picture, coarse.shape[-1]))[None].float(), self.config)
            labels, _ = _fine(region, picture.shape[1:], together=True)
        if float(probable[0] if len(probable) else any_class(present.numpy()[None])[0]) < self.gate:
            labels = np.zeros_like(labels)
        values = [
            Value("image", scan.name, "probability", amount, of)
            for of, amount in zip(self.classes, present.tolist(), strict=True)
        ]
        mask = scan.image.with_voxels(labels[None], "label")
        return Prediction(mask, {"activation": scan.image.with_voxels(foreground[None])}, None, tuple(values))

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        """The grey image, from black to white."""
        _, shown = picture_of(Scan(scan.name, upright(scan.image)), self.config.prepare.window)
        return scan.image, shown


def _sharpest(
    coarse: Float[Tensor, "1 label side side"], image: Float[Tensor, "1 colour side side"], config: WsmisSettings
) -> Float[Tensor, "1 label side side"]:
    """Probabilities that are 1 for background outside the region with the sharpest outline, and 0 inside.

    Args:
        coarse: Of each pixel, background first.
        image: In [0, 255].
        config: The shade.
    """
    background = coarse[:, :1]
    found = regions_of(torch.cat([background, 1 - background], dim=1), image, config.labels)
    classes = coarse[:, 1:] / coarse[:, 1:].sum(1, keepdim=True).clamp_min(torch.finfo(coarse.dtype).tiny)
    return torch.cat([1 - found, found * classes], dim=1)


def _fine(coarse: Tensor, shape: tuple[int, ...], *, together: bool) -> tuple[np.ndarray, np.ndarray]:
    """Labels and the probability of any class on the image's own pixels, one class in memory at a time.

    Args:
        coarse: Probabilities of labels, background first.
        shape: Of the image.
        together: Whether background needs as much as all classes together, not as much as the largest.
    """
    labels = np.zeros(shape, np.uint8)
    ground = F.interpolate(coarse[:, :1], size=shape, mode="bilinear", align_corners=False)[0, 0].numpy()
    best = np.zeros_like(ground) if together else ground.copy()
    for label in range(1, coarse.shape[1]):
        one = F.interpolate(coarse[:, label : label + 1], size=shape, mode="bilinear", align_corners=False)[0, 0]
        higher = one.numpy() > best
        labels[higher], best[higher] = label, one.numpy()[higher]
    if together:
        labels[ground >= 0.5] = 0
    return labels, np.clip(1 - ground, 0, 1)


def load(path: Path, device: torch.device, limits: Limits) -> WsmisSegmenter:  # noqa: ARG001 - not needed
    """Read a model file.

    Raises:
        UserError: Not a weights file of this package, of another method, or damaged.
    """
    state, header = load_weights(path)
    refuse_other_method(header, "wsmis", path)
    typed = typed_header(ModelHeader, header, path)
    parts = {
        name: network_in(part.network, part.arguments, under(f"{name}.", state), path).eval().to(device)
        for name, part in ((CLASSIFIER, typed.classifier), (SEGMENTATION, typed.segmentation))
    }
    config = parse(WsmisSettings, typed.config, str(path))
    classes = tuple(typed.classes)
    known = {CLASSIFIER: (len(classes), len(classes) + 1), SEGMENTATION: (len(classes) + 1,)}
    for name, part in ((CLASSIFIER, typed.classifier), (SEGMENTATION, typed.segmentation)):
        outputs = part.arguments.get("out_channels")
        if outputs not in known[name]:
            raise UserError(f"{path}: the {name} has {outputs} outputs for {len(classes)} classes; the file is damaged")
    return WsmisSegmenter(parts[CLASSIFIER], parts[SEGMENTATION], config, typed.provenance, classes, typed.gate, device)
