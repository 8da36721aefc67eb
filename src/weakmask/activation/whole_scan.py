"""A segmentation network over whole scans, in tiles as large as memory allows.

Xie et al. 2021 (arXiv 2105.11748), section III-A-5: a U-Net with valid convolutions slides over the scan without
overlap, 132^3 voxels in, 44^3 out. Most of what it computes there is margin. Here a tile is as large as fits, and the
answer is that of one pass over the whole scan, for tiles start on the grid of the network's poolings. With the paper's
steps of 44 they would not (44 is no multiple of 8) and the answer would have seams; with steps of 40 it is this one.
"""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from weakmask.activation.tile_plan import plan_tiles
from weakmask.networks.blocks import CHANNELS_LAST
from weakmask.networks.reach import SegmentationNetwork
from weakmask.networks.unet import UNet
from weakmask.networks.unet_inference import LeanUNet
from weakmask.progress import track
from weakmask.volume.geometry import Box, Index3
from weakmask.volume.tiles import Border, Tile, cut, put_back

SLAB_SHARE = 0.1  # of the memory for what is worked on, the rest for what must be kept


@dataclass(frozen=True)
class Workspace:
    """Where a network runs and how much memory it may take there.

    Attributes:
        memory_gb: For the feature maps of one tile, in GiB. The scan, the answer and the weights come on top.
        device: As torch names it.
        dtype: Of the feature maps. With bfloat16 or float16 tiles hold twice as much, and machines that compute in it
            are faster; logits are then good to some percent.
    """

    memory_gb: float = 4.0
    device: str = "cpu"
    dtype: torch.dtype = torch.float32


def class_probabilities(
    network: SegmentationNetwork,
    scan: Shaped[np.ndarray, "z y x"],
    workspace: Workspace = Workspace(),
    border: Border = "constant",
    out: Float[np.ndarray, "class out_z out_y out_x"] | None = None,
    part: Box | None = None,
) -> Float[np.ndarray, "class out_z out_y out_x"]:
    """The network's probabilities for every voxel of a scan.

    Args:
        network: With valid convolutions or zero padding, 3-D or 2-D (then slice by slice). Batch norm uses its learned
            statistics, whatever the network's mode, and the network is left as it is.
        scan: Windowed voxels, of any size.
        workspace: Device, precision and memory.
        border: Outside the scan a valid network sees 0, the window's lower end (air), or the scan mirrored. One with
            zero padding sees its zeros.
        out: Where to write, of any floating type: float16 or a memory-mapped file for large scans. Default: float32.
        part: The voxels wanted, of a network with valid convolutions; what lies around them is read all the same. None:
            the whole scan.

    Returns:
        `out`: the softmax of the logits, or the sigmoid of a single channel; of the size of the part.

    Raises:
        UserError: The memory does not hold the network's smallest tile.
        ValueError: A part is wanted of a network with zero padding.
    """
    wanted = Box((0, 0, 0), _shape(scan)) if part is None else part
    whole = np.empty((network.out_channels, *wanted.shape), dtype=np.float32) if out is None else out
    for tile, logits in _answers(network, scan, workspace, border, wanted):
        found = torch.sigmoid(logits) if logits.shape[0] == 1 else torch.softmax(logits, dim=0)
        put_back(whole, tile, found.cpu().numpy())
    return whole


def class_labels(
    network: SegmentationNetwork,
    scan: Shaped[np.ndarray, "z y x"],
    workspace: Workspace = Workspace(),
    border: Border = "constant",
) -> UInt8[np.ndarray, "z y x"]:
    """The most probable class of every voxel; for a single channel whether its probability is above 0.5.

    Takes one byte per voxel, whatever the number of classes. Arguments and errors as `class_probabilities`.
    """
    out = np.empty(scan.shape, dtype=np.uint8)
    for tile, logits in _answers(network, scan, workspace, border, Box((0, 0, 0), _shape(scan))):
        found = logits[0] > 0 if logits.shape[0] == 1 else logits.max(dim=0).indices
        put_back(out, tile, found.to(torch.uint8).cpu().numpy())
    return out


def _answers(
    network: SegmentationNetwork, scan: np.ndarray, workspace: Workspace, border: Border, wanted: Box
) -> Iterator[tuple[Tile, Tensor]]:
    """Each tile, in voxels of what is wanted, with its logits (class, z, y, x), float32."""
    reach = network.reach()
    if not reach.valid_loss and wanted.shape != scan.shape:
        raise ValueError("a network with zero padding answers for the whole scan: its zeros belong at the scan's faces")
    runner, precision = _inference_form(network, workspace)
    tiles = plan_tiles(runner, reach, wanted.shape, workspace.memory_gb)
    for tile in track(tiles, "segment", len(tiles)):
        read = Box(_sum(tile.read.start, wanted.start), _sum(tile.read.stop, wanted.start))
        voxels = torch.from_numpy(cut(scan, read, border)).to(workspace.device, torch.float32)
        batch = voxels[:, None] if network.dimensions == 2 else voxels[None, None]
        with torch.inference_mode(), precision:
            logits = runner(batch)
        yield tile, (logits.movedim(1, 0) if network.dimensions == 2 else logits[0]).float()


def _shape(scan: np.ndarray) -> Index3:
    z, y, x = scan.shape
    return z, y, x


def _sum(one: Index3, other: Index3) -> Index3:
    z, y, x = (a + b for a, b in zip(one, other, strict=True))
    return z, y, x


def _inference_form(
    network: SegmentationNetwork, workspace: Workspace
) -> tuple[nn.Module, AbstractContextManager[Any]]:
    """A copy of the network to run on the device, and the context that gives it its precision."""
    if isinstance(network, UNet) and network.padding == "valid":
        slab = int(workspace.memory_gb * 2**30 * SLAB_SHARE)
        return LeanUNet(network, workspace.dtype, slab).to(workspace.device), nullcontext()
    same = copy.deepcopy(network).eval().to(workspace.device)
    for weight in same.parameters():
        if weight.ndim > 2:  # channels last: faster, and kernels need no copies in an order of their own
            weight.data = weight.data.contiguous(memory_format=CHANNELS_LAST[network.dimensions])
    lower = workspace.dtype != torch.float32
    return same, torch.autocast(workspace.device.split(":")[0], workspace.dtype) if lower else nullcontext()
