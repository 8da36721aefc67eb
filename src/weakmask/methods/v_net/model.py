"""The model stage: network -> one file; and the trained model as `predict` uses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, JsonValue
from torch import nn

from weakmask.config import parse
from weakmask.errors import UserError
from weakmask.methods.v_net.config import VNetSettings
from weakmask.methods.v_net.network_grid import framed_image, on_own_grid
from weakmask.networks import network_with
from weakmask.pipeline import Work, provenance
from weakmask.prediction import About, Limits, Prediction, Scan, Value
from weakmask.training.checkpoints import MODEL, load_weights, save_weights
from weakmask.training.model_header import Facts, Name, NetworkHeader, network_in, refuse_other_method, typed_header
from weakmask.volume.volume import Volume

TITLES = {"v_net": "V-Net", "unet": "3-D U-Net"}
CITATION = (
    "Method: Milletari F, Navab N, Ahmadi SA. V-Net: fully convolutional neural networks for volumetric medical image "
    "segmentation. 3DV 2016 (arXiv 1606.04797)."
)


class ModelHeader(NetworkHeader):
    """The header of a model file."""

    method: Name
    config: dict[str, JsonValue]
    provenance: Annotated[Facts, Field(default_factory=dict)]


def model(work: Work[VNetSettings]) -> None:
    """Write model.safetensors; its header has all that a prediction needs."""
    state, header = load_weights(work.stage("train") / f"{work.config.train.keep}.safetensors")
    described = {
        "method": work.config.method,
        "network": header["network"],
        "arguments": header["arguments"],
        "config": work.config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    save_weights(work.out / MODEL, network_with(header["network"], header["arguments"], state), described)


@dataclass(frozen=True)
class VNetSegmenter:
    """A trained model that needs no regions.

    Attributes:
        network: Z-scores on its grid -> logits of the background and the classes.
        config: Settings of the run.
        provenance: Versions and machine of its training.
        device: Where it computes.
    """

    network: nn.Module
    config: VNetSettings
    provenance: Facts
    device: torch.device

    @property
    def needs_regions(self) -> Mapping[int, str]:
        """None."""
        return {}

    @property
    def needs_hounsfield(self) -> bool:
        """False: it takes z-scores."""
        return False

    @property
    def about(self) -> About:
        """Description of the model for a report."""
        config = self.config.model_dump(mode="json")
        return About(TITLES[self.config.network.name], methods_text(self.config), config, self.provenance)

    def segment(self, scan: Scan) -> Prediction:
        """Mark the classes of a scan.

        The mask has a number per class; the map `activation` is the probability of any class. The values are the shares
        of the scan's voxels.

        Raises:
            UserError: The model gives voxels no number.
        """
        framed = framed_image(scan.image, self.config.prepare)
        image = torch.from_numpy(framed.voxels)[None, None].to(self.device)
        with torch.inference_mode():
            found = self.network(image)[0].float().softmax(dim=0).cpu().numpy()
        if not np.isfinite(found).all():
            raise UserError(f"{scan.name}: the model gives voxels no number (NaN or infinity); train again")
        mask, activation = on_own_grid(found, framed.geometry, scan.image.geometry)
        shares = np.bincount(mask.ravel(), minlength=len(self.config.data.classes) + 1) / mask.size
        values = tuple(
            Value("image", scan.name, "fraction", float(shares[k]), name)
            for k, name in enumerate(self.config.data.classes, 1)
        )
        return Prediction(
            scan.image.with_voxels(mask, "label"),
            {"activation": scan.image.with_voxels(activation.astype(np.float32))},
            None,
            values,
        )

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        """The scan, from its first to its 99th percentile of grey values."""
        low, high = (float(end) for end in np.percentile(scan.image.voxels, (1, 99)))
        return scan.image, (low, high if high > low else low + 1)


def methods_text(config: VNetSettings) -> str:
    """A paragraph that says what was done with which numbers."""
    spacing = config.prepare.spacing_mm
    voxels = "each scan's own voxels" if spacing is None else f"voxels of {' x '.join(f'{s:g}' for s in spacing)} mm"
    losses = [
        f"{name} (weight {weight:g})"
        for name, weight in (("soft Dice", config.losses.dice), ("cross-entropy", config.losses.cross_entropy))
        if weight
    ]
    sides, train = " x ".join(map(str, config.prepare.shape)), config.train
    return (
        f"A {TITLES[config.network.name]} of width {config.network.width} took the middle {sides} of {voxels} with "
        f"z-scores as grey values. It was trained on {' and '.join(losses)} for {train.steps} steps of {train.batch} "
        f"scans with {train.optimiser}, learning rate {train.learning_rate:g} ({train.schedule}), seed {config.seed}."
        f"\n\n{CITATION}"
    )


def load(path: Path, device: torch.device, limits: Limits) -> VNetSegmenter:  # noqa: ARG001 - not needed
    """Read a model file.

    Raises:
        UserError: Not a weights file of this package, of another method, or damaged.
    """
    state, header = load_weights(path)
    refuse_other_method(header, "v_net", path)
    typed = typed_header(ModelHeader, header, path)
    network = network_in(typed.network, typed.arguments, state, path).eval().to(device)
    config = parse(VNetSettings, typed.config, str(path))
    if getattr(network, "out_channels", 0) != len(config.data.classes) + 1:
        raise UserError(f"{path}: its network is not one for {len(config.data.classes)} classes; train again")
    return VNetSegmenter(network, config, typed.provenance, device)
