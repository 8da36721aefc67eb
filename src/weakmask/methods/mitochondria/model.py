"""The model stage: network and decoder -> one file; and the trained model as `predict` uses it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from weakmask.config import parse
from weakmask.errors import UserError
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.instances import OWN, read_decoders
from weakmask.methods.mitochondria.report_text import TITLE, methods_text
from weakmask.methods.mitochondria.stack_index import read_index
from weakmask.methods.mitochondria.stack_segmentation import DEFAULT_SIZES, BlockSizes, StackSegmentation
from weakmask.methods.mitochondria.training import trained_weights
from weakmask.methods.mitochondria.working_stack import NM_PER_MM, grey_bytes
from weakmask.networks import network_with
from weakmask.pipeline import Work, provenance
from weakmask.prediction import About, Limits, Prediction, Scan, StackPrediction
from weakmask.refinement.instance_search import Decoder
from weakmask.training.checkpoints import MODEL, load_weights, save_weights
from weakmask.training.model_header import (
    Facts,
    Header,
    Name,
    NetworkHeader,
    network_in,
    refuse_other_method,
    typed_header,
)
from weakmask.volume.geometry import Float3
from weakmask.volume.label_pairs import Planes
from weakmask.volume.new_arrays import NewArrays, in_memory
from weakmask.volume.stack import Stack
from weakmask.volume.volume import Volume

MOST_RATIO = 8.0  # of voxel edges of a stack and of the training stacks; a CT has a hundred thousand
Nanometres = Annotated[float, Field(ge=0.1, le=10_000)]


class DecoderHeader(Header):
    """The decoder in a model file."""

    method: Literal["watershed", "grow", "components"]
    seed: Annotated[float, Field(ge=0, le=1)]
    contour: Annotated[float, Field(ge=0, le=1)]
    mask: Annotated[float, Field(ge=0, le=1)]
    grow_pixels: Annotated[int, Field(ge=0, le=64)]
    least_voxels: Annotated[float, Field(ge=0, le=1e12)]


class ModelHeader(NetworkHeader):
    """The header of a model file."""

    method: Name
    decoder: DecoderHeader
    spacing_nm: tuple[Nanometres, Nanometres, Nanometres]
    working_nm: tuple[Nanometres, Nanometres, Nanometres]
    config: dict[str, object]
    provenance: Facts = Field(default_factory=dict)


def model(work: Work[MitochondriaSettings]) -> None:
    """Write model.safetensors; its header has all that a prediction needs."""
    state, header = load_weights(trained_weights(work.stage("train"), work.config))
    first = read_index(work.stage("prepare"))[0]
    described = {
        "method": work.config.method,
        "network": header["network"],
        "arguments": header["arguments"],
        "decoder": asdict(read_decoders(work.stage("instances"))[OWN]),
        "spacing_nm": list(first.spacing_nm),
        "working_nm": list(first.working_nm),
        "config": work.config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    network = network_with(header["network"], header["arguments"], state)
    save_weights(work.out / MODEL, network, described)


@dataclass(frozen=True)
class MitochondriaSegmenter:
    """A trained model that needs no regions.

    Attributes:
        network: Grey values -> logits of mask and contour.
        decoder: Probabilities -> instances, on the working grid of the training.
        spacing_nm: Voxel size of the training stacks; a stack that states none is taken to have it.
        working_nm: Voxel size of the working grid.
        config: Settings of the run.
        provenance: Versions and machine of its training.
        device: Where it computes.
        sizes: Sizes of the parts that are computed at a time.
    """

    network: nn.Module
    decoder: Decoder
    spacing_nm: Float3
    working_nm: Float3
    config: MitochondriaSettings
    provenance: Facts
    device: torch.device
    sizes: BlockSizes = DEFAULT_SIZES
    kind: Literal["instances"] = "instances"

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
        z, y, x = self.spacing_nm
        note = (
            f"A stack that states no voxel size is taken to have that of the training stacks, {z:g} x {y:g} x {x:g} nm."
        )
        config = self.config.model_dump(mode="json")
        return About(TITLE, methods_text(self.config), config, self.provenance, notes=(note,))

    def segment(self, scan: Scan) -> Prediction:
        """Find the mitochondria of a stack.

        The mask has a number per instance on the stack's own grid; the map `activation` is the probability of the mask
        in 255ths. The value of the stack is the number of instances.

        Raises:
            UserError: The stack's voxels are of another order of size than those of the training stacks, or the model
                gives voxels no number.
        """
        image = scan.image
        found = self._found(scan.name, image.voxels, self.spacing_of(image), in_memory)
        return Prediction(
            image.with_voxels(np.asarray(found.mask), "label"),
            {name: image.with_voxels(np.asarray(one)) for name, one in found.maps.items()},
            None,
            found.values,
            self.kind,
            found.instances,
        )

    def segment_stack(self, name: str, stack: Stack, new: NewArrays) -> StackPrediction:
        """Find the mitochondria of a stack on the disk, block by block; the result is that of `segment`.

        Raises:
            UserError: As `segment`.
        """
        return self._found(name, stack, stack.spacing_nm or self.spacing_nm, new)

    def _found(self, name: str, voxels: Planes, spacing_nm: Float3, new: NewArrays) -> StackPrediction:
        """The instances of a stack of suitable voxels."""
        ratios = [own / learnt for own, learnt in zip(spacing_nm, self.spacing_nm, strict=True)]
        if any(not 1 / MOST_RATIO <= ratio <= MOST_RATIO for ratio in ratios):
            came, learnt = (" x ".join(f"{edge:g}" for edge in size) for size in (spacing_nm, self.spacing_nm))
            raise UserError(
                f"{name}: voxels of {came} nm, and the model learnt stacks of {learnt} nm; expected a stack of "
                "electron microscopy of about that size, with its voxel size in the header"
            )
        parts = StackSegmentation(self.network, self.decoder, self.config, self.device, self.sizes)
        return parts.of(name, voxels, spacing_nm, new)

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        """The grey values as bytes, from black to white."""
        return scan.image.with_voxels(grey_bytes(scan.image.voxels)), (0.0, 255.0)

    def spacing_of(self, image: Volume) -> Float3:
        """Voxel size of a stack in nm: its own, or that of the training stacks if it states none."""
        if image.geometry.spacing_mm == (1.0, 1.0, 1.0):
            return self.spacing_nm
        z, y, x = (edge * NM_PER_MM for edge in image.geometry.spacing_mm)
        return z, y, x


def load(path: Path, device: torch.device, limits: Limits) -> MitochondriaSegmenter:
    """Read a model file.

    Raises:
        UserError: Not a weights file of this package, of another method, or damaged.
    """
    state, header = load_weights(path)
    refuse_other_method(header, "mitochondria", path)
    typed = typed_header(ModelHeader, header, path)
    network = network_in(typed.network, typed.arguments, state, path).eval().to(device)
    if getattr(network, "out_channels", 0) != 2 or getattr(network, "dimensions", 0) != 3:
        raise UserError(f"{path}: its network is no network for mask and contour of stacks; train again")
    config = parse(MitochondriaSettings, typed.config, str(path))
    decoder = Decoder(**typed.decoder.model_dump())
    grids = (typed.spacing_nm, typed.working_nm)
    sizes = BlockSizes.within(limits)
    return MitochondriaSegmenter(network, decoder, *grids, config, typed.provenance, device, sizes)
