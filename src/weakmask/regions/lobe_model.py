"""The model file of a lobe network, and the one that comes with the package."""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.config import Channels, Settings, Share
from weakmask.errors import UserError
from weakmask.networks import build_network
from weakmask.pipeline import stage_folder
from weakmask.regions.lobe_frame import FrameSettings
from weakmask.training.checkpoints import MODEL, load_weights
from weakmask.training.devices import device_of
from weakmask.training.model_header import Facts, Header, Name, network_in, refuse_other_method, typed_header

SHIPPED = files("weakmask") / "models" / "lobes.safetensors"
CLASSES = 1 + len(NUMBERINGS["weakmask"])  # background and five lobes

Few = Annotated[int, Field(ge=1, le=100)]
Three = tuple[Few, Few, Few]


class NetworkSettings(Settings):
    """The network and its numbers; each network uses the ones that it has."""

    name: Literal["pdv_net", "dense_v_net", "v_net", "unet"] = Field(
        default="pdv_net", description="the network; unet works slice by slice"
    )
    kernels: Channels = Field(default=24, description="channels of the first convolution of the dense networks (P, G)")
    growth: Three = Field(
        default=(4, 6, 8), description="channels that each dense layer adds, per block (P 4 6 8, G 4 8 16)"
    )
    layers: Three = Field(default=(5, 10, 10), description="layers of each dense block (P, G)")
    width: Channels = Field(default=16, description="channels of the first stage of v_net (its paper: 16) and unet")
    dropout: Share = Field(default=0.2, description="dropout rate; unet has none (O; G 0.5)")

    def arguments(self, classes: int) -> dict[str, Any]:
        """Arguments for `build_network`."""
        if self.name == "unet":
            return {"dimensions": 2, "out_channels": classes, "width": self.width}
        if self.name == "v_net":
            return {"out_channels": classes, "width": self.width, "dropout": self.dropout}
        dense = {"kernels": self.kernels, "growth": self.growth, "layers": self.layers, "dropout": self.dropout}
        return {"out_channels": classes, **dense}


class MaskSettings(Settings):
    """How the network's output becomes lobe masks."""

    confine: Literal["lungs", "nothing"] = Field(
        default="lungs",
        description=(
            "lungs: every voxel of a lung found by threshold gets a lobe of its side, and no other voxel does (O)"
        ),
    )
    fissures: bool = Field(
        default=True,
        description=("move lobe borders onto the fissures that a CT shows; needs lobes confined to the lungs (O)"),
    )


class LobeSections(Header):
    """The sections of a training's config that a lobe model needs."""

    prepare: FrameSettings
    network: NetworkSettings
    masks: MaskSettings


class LobeHeader(Header):
    """The header of a lobe model's file."""

    method: Name
    config: LobeSections
    provenance: Facts = Field(default_factory=dict)


@dataclass(frozen=True)
class LobeModel:
    """A trained lobe network.

    Attributes:
        network: In evaluation mode.
        frame: How a scan becomes the network's input.
        masks: How the network's output becomes a label map.
        header: The whole JSON header, for the report.
    """

    network: nn.Module
    frame: FrameSettings
    masks: MaskSettings
    header: dict[str, Any]


def load_lobe_model(path: str | Path | None = None, device: str | torch.device = "auto") -> LobeModel:
    """Read a model file.

    Args:
        path: A file of `write_model`, or a run folder with it; None: the model that comes with the package.
        device: Where the network goes: auto, cpu, cuda or mps, or a device of torch.

    Raises:
        UserError: The file is missing, not a weights file of weakmask, or of another method.
    """
    if path is None:
        with as_file(SHIPPED) as file:
            return _load(file, device_of(device))
    path = Path(path)
    return _load(stage_folder(path, "model") / MODEL if path.is_dir() else path, device_of(device))


def _load(path: Path, device: torch.device) -> LobeModel:
    state, header = load_weights(path)
    refuse_other_method(header, "lobes", path)
    typed = typed_header(LobeHeader, header, path)
    named = typed.config.network
    try:
        network = network_in(named.name, named.arguments(CLASSES), state, path)
    except ImportError as error:
        raise UserError(str(error)) from error
    return LobeModel(network.eval().to(device), typed.config.prepare, typed.config.masks, header)


def lobe_network(settings: NetworkSettings) -> nn.Module:
    """The network of the settings, fresh.

    Raises:
        UserError: It is V-Net and MONAI is not installed.
    """
    try:
        return build_network(settings.name, settings.arguments(CLASSES))
    except ImportError as error:
        raise UserError(str(error)) from error


def lobe_logits(network: nn.Module, image: Float[Tensor, "batch 1 z y x"]) -> Float[Tensor, "batch class z y x"]:
    """Logits of scans; a network of slices is given all slices as one batch."""
    if getattr(network, "dimensions", 3) == 3:
        return network(image)
    scans, _, slices, rows, columns = image.shape
    found = network(image.reshape(scans * slices, 1, rows, columns))
    return found.reshape(scans, slices, -1, rows, columns).transpose(1, 2)
