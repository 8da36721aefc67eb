"""Inference of a segmentation network on whole scans, in tiles as large as the memory allows.

Xie et al. 2021 (arXiv 2105.11748), section III-A-5: a U-Net with valid convolutions slides over the scan without
overlap, 132^3 voxels in, 44^3 out. Most of that computation is margin. This module uses the largest tiles that fit, and
its result is that of one pass over the whole scan, because tiles start on the grid of the network's poolings. The
paper's steps of 44 do not (44 is not a multiple of 8), which causes seams; steps of 40 give the result of this module.
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

SLAB_SHARE = 0.1  # share of the memory for the current slab; the rest holds the maps that are kept


@dataclass(frozen=True)
class Workspace:
    """Device, precision and memory of the inference.

    Attributes:
        memory_gb: Memory for the feature maps of one tile, in GiB, in addition to the scan, the result and the weights.
        device: Device name of torch.
        dtype: Type of the feature maps. bfloat16 and float16 halve the memory and are faster on machines that support
            them; logits are then accurate to some percent.
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
    """Class probabilities of a network for every voxel of a scan.

    Args:
        network: With valid convolutions or zero padding, 3-D or 2-D (then slice by slice). Batch norm uses its learned
            statistics in any mode of the network, which is not changed.
        scan: Windowed voxels, of any size.
        workspace: Device, precision and memory.
        border: Values outside the scan for a valid network: 0, the window's lower end (air), or the mirrored scan. A
            network with zero padding pads with zeros.
        out: Array for the result, of any floating type: float16 or a memory-mapped file for large scans. Default: a new
            float32 array.
        part: The voxels to compute, for a network with valid convolutions; their surroundings are read too. None: the
            whole scan.

    Returns:
        `out`: the softmax of the logits, or the sigmoid of a single channel; of the size of the part.

    Raises:
        UserError: The memory does not hold the network's smallest tile.
        ValueError: `part` is given for a network with zero padding.
    """
    target = Box((0, 0, 0), _shape(scan)) if part is None else part
    whole = np.empty((network.out_channels, *target.shape), dtype=np.float32) if out is None else out
    for tile, logits in _answers(network, scan, workspace, border, target):
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

    The result takes one byte per voxel for any number of classes. Arguments and errors as in `class_probabilities`.
    """
    out = np.empty(scan.shape, dtype=np.uint8)
    for tile, logits in _answers(network, scan, workspace, border, Box((0, 0, 0), _shape(scan))):
        found = logits[0] > 0 if logits.shape[0] == 1 else logits.max(dim=0).indices
        put_back(out, tile, found.to(torch.uint8).cpu().numpy())
    return out


def _answers(
    network: SegmentationNetwork, scan: np.ndarray, workspace: Workspace, border: Border, target: Box
) -> Iterator[tuple[Tile, Tensor]]:
    """Each tile, in voxels of the target box, with its logits (class, z, y, x), float32."""
    reach = network.reach()
    if not reach.valid_loss and target.shape != scan.shape:
        raise ValueError("a network with zero padding segments whole scans only: its zeros belong at the scan's faces")
    runner, precision = _inference_form(network, workspace)
    tiles = plan_tiles(runner, reach, target.shape, workspace.memory_gb)
    for tile in track(tiles, "segment", len(tiles)):
        read = Box(_sum(tile.read.start, target.start), _sum(tile.read.stop, target.start))
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
        if weight.ndim > 2:  # channels last is faster and needs no reordered copies
            weight.data = weight.data.contiguous(memory_format=CHANNELS_LAST[network.dimensions])
    lower = workspace.dtype != torch.float32
    return same, torch.autocast(workspace.device.split(":")[0], workspace.dtype) if lower else nullcontext()
