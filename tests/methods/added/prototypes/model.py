"""The model stage, and the trained model as `predict` uses it."""

# pyright: reportMissingImports=false
# the test copies this folder into the package

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weakmask.errors import UserError
from weakmask.methods.prototypes.config import PrototypeSettings
from weakmask.methods.prototypes.prototypes import Prototypes, presence
from weakmask.methods.prototypes.report import METHODS_TEXT, TITLE
from weakmask.pipeline import Work, provenance
from weakmask.prediction import About, Limits, Prediction, Scan, Value
from weakmask.training.checkpoints import MODEL, load_weights, save_weights
from weakmask.volume.volume import Volume


def model(work: Work[PrototypeSettings]) -> None:
    """Write model.safetensors: the colours, and all that a prediction needs in the header."""
    state, header = load_weights(work.stage("prototypes") / "last.safetensors")
    network = Prototypes(len(header["classes"]), header["sharpness"])
    network.load_state_dict(state)
    described = {
        "method": work.config.method,
        "classes": header["classes"],
        "config": work.config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    save_weights(work.out / MODEL, network, described)


@dataclass(frozen=True)
class PrototypeSegmenter:
    """A trained model that needs colour and no regions."""

    network: Prototypes
    header: Mapping[str, Any]
    device: torch.device

    @property
    def needs_regions(self) -> Mapping[int, str]:
        """None."""
        return {}

    @property
    def needs_hounsfield(self) -> bool:
        """No: it takes pictures."""
        return False

    @property
    def about(self) -> About:
        """Description of the model for a report."""
        return About(TITLE, METHODS_TEXT, self.header["config"], self.header["provenance"])

    def segment(self, scan: Scan) -> Prediction:
        """Give each pixel the class of the nearest colour.

        Raises:
            UserError: The image is not a colour picture.
        """
        if scan.colour is None:
            raise UserError(f"{scan.name}: not a picture; the model needs colour, expected .png or .jpg")
        image = torch.from_numpy(scan.colour.astype(np.float32) / 255)[None].to(self.device)
        with torch.inference_mode():
            probability = self.network(image).softmax(1)
        found = presence(probability, self.header["config"]["learning"]["highest"])[0].tolist()
        values = [
            Value("image", scan.name, "probability", amount, of)
            for of, amount in zip(self.header["classes"], found, strict=True)
        ]
        ground = probability[0, :1].cpu().numpy()
        mask = scan.image.with_voxels(probability[0].argmax(0).to(torch.uint8)[None].cpu().numpy(), "label")
        return Prediction(mask, {"activation": scan.image.with_voxels(1 - ground)}, None, tuple(values))

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        """The grey picture from black to white."""
        return scan.image, (0.0, 255.0)


def load(path: Path, device: torch.device, limits: Limits) -> PrototypeSegmenter:
    """Read a model file; the limits are not needed."""
    state, header = load_weights(path)
    network = Prototypes(len(header["classes"]), header["config"]["network"]["sharpness"])
    network.load_state_dict(state)
    return PrototypeSegmenter(network.eval().to(device), header, device)
