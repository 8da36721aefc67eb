"""The probabilities stage: network and prepared stacks -> mask and contour probabilities on the working grid."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from weakmask.activation.blended_probabilities import BlendingWork, blended_probabilities
from weakmask.activation.blended_windows import Windows
from weakmask.errors import UserError
from weakmask.methods.mitochondria.config import MitochondriaSettings, PredictSettings
from weakmask.methods.mitochondria.denoise import grey_file
from weakmask.methods.mitochondria.stack_index import StackRow, read_index
from weakmask.methods.mitochondria.training import trained_weights
from weakmask.networks import network_with
from weakmask.networks.blocks import CHANNELS_LAST
from weakmask.networks.reach import SegmentationNetwork
from weakmask.networks.res_unet import CONTOUR, MASK
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import computes_bfloat16, device_of
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Box, Index3
from weakmask.volume.label_pairs import Planes
from weakmask.volume.new_arrays import Channels

CHANNELS = {"mask": MASK, "contour": CONTOUR}
POOLED = 16  # pixels along a side of one of the coarsest maps


def probabilities(work: Work[MitochondriaSettings]) -> None:
    """Write validation/ and test/ with NAME-mask.nii and NAME-contour.nii, in 255ths."""
    config, prepared = work.config, work.stage("prepare")
    device = device_of(config.device)
    state, header = load_weights(trained_weights(work.stage("train"), config))
    network = network_with(header["network"], header["arguments"], state).eval().to(device)
    rows = [row for row in read_index(prepared) if row.training_sections < row.sections]
    for row in track(rows, "probabilities", len(rows)):
        image = read_volume(grey_file(work, row))
        _, height, width = image.geometry.shape
        first, end, _ = row.held_out_sections.indices(row.sections)
        sections = image.crop(Box((first, 0, 0), (end, height, width)))
        maps = probability_maps(network, sections.voxels, config.predict, device)
        (work.out / row.held_out).mkdir(exist_ok=True)
        for of, channel in CHANNELS.items():
            write_volume(sections.with_voxels(maps[channel]), map_file(work.out, row, of))


def map_file(folder: Path, row: StackRow, of: str) -> Path:
    """The map of the sections of a stack that are not trained on: of their mask or their contour."""
    return folder / row.held_out / f"{row.scan}-{of}.nii"


def probability_maps(
    network: nn.Module, image: UInt8[np.ndarray, "z y x"], settings: PredictSettings, device: torch.device
) -> UInt8[np.ndarray, "2 z y x"]:
    """Probabilities of mask and contour of a stack on the working grid, in 255ths.

    Args:
        network: A network of this method in evaluation mode, on the device.
        image: The stack.
        settings: Windows and views.
        device: Where to compute.
    """
    maps = np.zeros((len(CHANNELS), *image.shape), np.uint8)
    write_probability_maps(network, image, settings, Channels(maps), BlendingWork(device=str(device)))
    return maps


def write_probability_maps(
    network: nn.Module, image: Planes, settings: PredictSettings, out: Channels, work: BlendingWork
) -> None:
    """Write probabilities of mask and contour block by block.

    Args:
        network: As in `probability_maps`.
        image: The stack, bytes; an array, or an array on the disk.
        settings: As in `probability_maps`.
        out: The arrays of mask and contour.
        work: Device, and memory of a block.
    """
    depth, height, width = (int(n) for n in image.shape)
    windows = windows_for((depth, height, width), settings)
    reach = network.reach() if isinstance(network, SegmentationNetwork) and settings.views == 1 else None
    probability = averaged_over_views(network, settings.views, torch.device(work.device))
    blended_probabilities(probability, image, windows, len(CHANNELS), out, reach, work)


def windows_for(shape: Index3, settings: PredictSettings) -> Windows:
    """The windows of a stack; along an axis that one window holds there is a single one.

    A stack of few sections is still mirrored at its first and last one, as patches of a training are: a network that
    learnt deep patches finds worse borders beside zeros.
    """
    numbers = zip(shape, (1, POOLED, POOLED), settings.window, settings.stride, settings.padding, strict=True)
    z, y, x = (_along(*one, mirrored=axis == 0) for axis, one in enumerate(numbers))
    return Windows((z[0], y[0], x[0]), (z[1], y[1], x[1]), (z[2], y[2], x[2]))


def _along(n: int, multiple: int, side: int, step: int, around: int, *, mirrored: bool) -> Index3:
    """Size, stride and padding of windows along an axis of n voxels, on the grid of the network's poolings.

    Args:
        n: Voxels along the axis.
        multiple: The grid.
        side: Of a window.
        step: From a window to the next.
        around: How far windows reach over the faces of the stack.
        mirrored: A single window reaches over them, too.
    """
    around = around // multiple * multiple
    beyond = around if mirrored else 0
    whole, side, step = (-(-one // multiple) * multiple for one in (n + 2 * beyond, side, step))
    return (whole, whole, beyond) if whole <= side else (side, min(step, side), around)


def averaged_over_views(
    network: nn.Module, views: int, device: torch.device
) -> Callable[[Float[Tensor, "1 1 z y x"]], Float[Tensor, "1 2 z y x"]]:
    """A function from raw voxels to probabilities, averaged over views of the window.

    Args:
        network: Returns logits.
        views: 1; 4: z mirrored, y and x exchanged; 16: and y and x mirrored.
        device: Where it computes; bfloat16 is used where the device has instructions for it.
    """
    lower = computes_bfloat16(device.type)
    mirrors = [(), (2,)] if views > 1 else [()]
    mirrors = [(*z, *plane) for z in mirrors for plane in ([(), (3,), (4,), (3, 4)] if views == 16 else [()])]
    seen = [(axes, swap) for axes in mirrors for swap in ((False, True) if views > 1 else (False,))]

    def probability(voxels: Tensor) -> Tensor:
        """The mean over the views."""
        grey = voxels / 255
        total: Tensor | None = None
        for axes, swap in seen:
            view = grey.flip(axes) if axes else grey
            view = view.transpose(3, 4) if swap else view
            context = torch.autocast(device.type, torch.bfloat16) if lower else nullcontext()
            with context:
                found = network(view.contiguous(memory_format=CHANNELS_LAST[3]))
            found = found.float().sigmoid()
            found = found.transpose(3, 4) if swap else found
            found = found.flip(axes) if axes else found
            total = found if total is None else total + found
        assert total is not None  # noqa: S101 - for the type checker
        if not bool(total.isfinite().all()):
            raise UserError("the model gives voxels no number (NaN or infinity); the model is damaged: train again")
        return total / len(seen)

    return probability
