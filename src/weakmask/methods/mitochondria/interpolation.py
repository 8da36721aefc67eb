"""Each section of a stack, interpolated from the sections before and after it by predicted kernels.

Li et al. 2021 (arXiv 2104.07961), figure 2, after Niklaus et al. 2017; the authors have not released this part. A U-Net
sees both neighbours and predicts two kernels for each pixel. It is trained on the stack itself: noise that differs from
section to section cannot be predicted, so it is missing in the interpolated section.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.methods.mitochondria.config import DenoiseSettings
from weakmask.networks import build_network
from weakmask.training.devices import device_of
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.seeding import mixed, seed_all
from weakmask.volume.label_pairs import Planes

MULTIPLE = 8  # of the U-Net's poolings


def interpolated(
    logits: Float[Tensor, "batch weights y x"], neighbours: Float[Tensor, "batch 2 y x"]
) -> Float[Tensor, "batch y x"]:
    """The section between two neighbours: the sum of both, each filtered with its own kernel at each pixel.

    By the softmax over both kernels their weights are positive and sum to 1 (O), so that grey values keep their range.

    Args:
        logits: 2 k^2 channels: the kernel of k x k pixels for the section before, row by row, then that for the other.
        neighbours: The sections before and after; pixels beyond the border repeat the nearest one.
    """
    side = round((logits.shape[1] / 2) ** 0.5)
    half = side // 2
    padded = F.pad(neighbours, [half] * 4, mode="replicate")
    batch, _, rows, columns = neighbours.shape
    windows = F.unfold(padded, side).reshape(batch, 2 * side * side, rows, columns)
    return (logits.float().softmax(dim=1) * windows).sum(dim=1)


def neighbours_of(stack: Planes, number: int) -> tuple[int, int]:
    """The sections before and after a section; at both ends of the stack its one neighbour is taken twice."""
    before, after = number - 1, number + 1
    return (before if before >= 0 else after), (after if after < stack.shape[0] else before)


def train_on_stack(stack: Planes, settings: DenoiseSettings, seed: int, device: str, folder: Path) -> nn.Module:
    """Train the network on a stack; a stopped training goes on from the checkpoint in the folder.

    Args:
        stack: At least two sections.
        settings: Of the network and its training.
        seed: Of weights and patches.
        device: Name of the device, or auto.
        folder: Gets the weights.
    """
    seed_all(seed)
    weights = 2 * settings.kernel**2
    described = {"dimensions": 2, "in_channels": 2, "out_channels": weights, "width": settings.width}
    network = build_network("unet", described)
    plan = Plan(
        settings.steps,
        settings.steps,
        max(1, settings.steps // 5),
        seed=seed,
        schedule="poly",
        device=device,  # pyright: ignore[reportArgumentType] - checked by the settings
        precision="32-true",
        header={"network": "unet", "arguments": described},
    )
    optimiser = build_optimiser(network.parameters(), "adam", settings.learning_rate)
    fit(network, optimiser, SectionPatches(stack, settings, seed), _objective, None, folder, plan)
    return network.eval().to(device_of(device))


class SectionPatches:
    """Step -> patches of sections and of their neighbours."""

    def __init__(self, stack: Planes, settings: DenoiseSettings, seed: int) -> None:
        """Hold the stack."""
        self.stack, self.settings, self.seed = stack, settings, seed

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step, mirrored and turned at random."""
        rng = np.random.default_rng(mixed(self.seed, step, "interpolation"))
        patches = np.stack([self._patch(rng) for _ in range(self.settings.batch)])
        grey = torch.from_numpy(patches).float() / 255
        return {"neighbours": grey[:, :2], "section": grey[:, 2]}

    def _patch(self, rng: np.random.Generator) -> UInt8[np.ndarray, "3 side side"]:
        """The sections before, after and between, at one place."""
        depth, rows, columns = self.stack.shape
        number = int(rng.integers(depth))
        side = self.settings.patch
        top, left = (int(rng.integers(max(0, n - side) + 1)) for n in (rows, columns))
        pixels = (slice(top, top + side), slice(left, left + side))
        cut = _sections(self.stack, [*neighbours_of(self.stack, number), number], pixels)
        missing = [(0, 0), *((0, side - n) for n in cut.shape[1:])]
        cut = np.pad(cut, missing, mode="edge")
        turned = np.rot90(cut, int(rng.integers(4)), axes=(1, 2))
        turned = turned[:, ::-1] if rng.random() < 0.5 else turned
        return np.ascontiguousarray(turned[[1, 0, 2]] if rng.random() < 0.5 else turned)


def _objective(network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG001 (the loop gives it)
    """The mean absolute difference from the section."""
    neighbours = batch["neighbours"]
    return {"total": F.l1_loss(interpolated(network(neighbours), neighbours), batch["section"])}


def interpolated_sections(network: nn.Module, stack: Planes, slab: slice) -> Float[np.ndarray, "z y x"]:
    """The sections of a slab, interpolated from their neighbours."""
    device = next(network.parameters()).device
    found = np.empty((slab.stop - slab.start, *stack.shape[1:]), np.float32)
    for place, number in enumerate(range(slab.start, slab.stop)):
        pair = torch.from_numpy(_sections(stack, neighbours_of(stack, number))).float().to(device)[None] / 255
        with torch.inference_mode():
            found[place] = 255 * interpolated(network(pair), pair)[0].cpu().numpy()
    return found


def _sections(
    stack: Planes, numbers: Sequence[int], pixels: tuple[slice, slice] = (slice(None), slice(None))
) -> UInt8[np.ndarray, "sections rows columns"]:
    """Sections of a stack, or some pixels of them."""
    return np.concatenate([np.asarray(stack[(slice(number, number + 1), *pixels)]) for number in numbers])
