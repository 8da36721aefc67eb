"""A stack as the network sees it, in bytes on pixels of about the working size; and labels back on its own grid."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Integer, Shaped, UInt8
from scipy import ndimage
from torch.nn import functional as F

from weakmask.errors import UserError
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.refinement.instance_search import Decoder
from weakmask.volume.blocks import blocks_of
from weakmask.volume.geometry import Float3, Index3
from weakmask.volume.label_pairs import SLAB_VOXELS, Planes
from weakmask.volume.new_arrays import NewArrays
from weakmask.volume.percentiles import percentiles
from weakmask.volume.volume import Volume

NM_PER_MM = 1e6
COARSEST_NM = 10_000  # of a section or pixel in electron microscopy
PERCENTILES = (0.5, 99.5)  # black and white of stacks that are not of 8 bits


def spacing_nm_of(volume: Volume, config: MitochondriaSettings, name: str) -> Float3:
    """Section thickness and pixel size of a stack in nm.

    Raises:
        UserError: The file states none, or one of other than electron microscopy, and the settings do not either.
    """
    if config.data.spacing_nm is not None:
        return config.data.spacing_nm
    if volume.geometry.spacing_mm == (1.0, 1.0, 1.0):  # pictures and stacks without a size
        raise UserError(f"{name}: states no voxel size; set data.spacing_nm, for example [30, 8, 8] (z, y, x in nm)")
    z, y, x = (edge * NM_PER_MM for edge in volume.geometry.spacing_mm)
    if max(z, y, x) > COARSEST_NM:
        raise UserError(
            f"{name}: voxels of {z:g} x {y:g} x {x:g} nm; expected electron microscopy, at most {COARSEST_NM:,.0f} nm; "
            "if its header is wrong, set data.spacing_nm"
        )
    return z, y, x


def binning_of(spacing_nm: Float3, pixel_nm: float | None) -> int:
    """Pixels along a side of the blocks that become one pixel of about this size."""
    return 1 if pixel_nm is None else max(1, round(pixel_nm / ((spacing_nm[1] + spacing_nm[2]) / 2)))


def grey_bytes(voxels: Shaped[np.ndarray, "z y x"]) -> UInt8[np.ndarray, "z y x"]:
    """Grey values as bytes; those of other types from their 0.5th to their 99.5th percentile."""
    return voxels if voxels.dtype == np.uint8 else _as_bytes(voxels, *percentiles(voxels, PERCENTILES))


def working_grey(stack: Planes, factor: int, new: NewArrays, most: int = SLAB_VOXELS) -> Planes:
    """The grey values of a stack as the network sees them: bytes, binned; equal to `binned(grey_bytes(stack))`.

    Args:
        stack: An array, or a stack on the disk, which is read in blocks.
        factor: As in `binned`.
        new: Makes the array of the result. A stack that needs no change is the result itself, unless its sections are
            packed as wholes, from which no block can be read alone.
        most: Voxels read at a time, see `blocks_of`.
    """
    in_bytes = np.asarray(stack[0:1, 0:1, 0:1]).dtype == np.uint8
    ends = None if in_bytes else percentiles(stack, PERCENTILES, most)
    depth, rows, columns = (int(n) for n in stack.shape)
    if ends is None and factor == 1 and getattr(stack, "chunks", None) != (1, rows, columns):
        return stack
    grey = new("grey", (depth, -(-rows // factor), -(-columns // factor)), np.uint8)
    for block in blocks_of(stack, most, factor):
        z, y, x = block
        part = np.asarray(stack[block])
        coarse = (z, *(slice(one.start // factor, -(-one.stop // factor)) for one in (y, x)))
        grey[coarse] = binned(part if ends is None else _as_bytes(part, *ends), factor)
    return grey


def _as_bytes(voxels: Shaped[np.ndarray, "z y x"], black: float, white: float) -> UInt8[np.ndarray, "z y x"]:
    """Grey values from black to white as bytes."""
    scale = 255 / (white - black) if white > black else 1.0
    return np.rint(np.clip((voxels.astype(np.float32) - black) * scale, 0, 255)).astype(np.uint8)


def binned(voxels: UInt8[np.ndarray, "z y x"], factor: int) -> UInt8[np.ndarray, "z rows columns"]:
    """The mean of each block of `factor` x `factor` pixels; a part of a block at the end repeats its last pixel."""
    whole = _whole_blocks(voxels, factor)
    depth, rows, columns = whole.shape
    blocks = whole.reshape(depth, rows // factor, factor, columns // factor, factor)
    return np.rint(blocks.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)


def thinned(labels: Integer[np.ndarray, "z y x"], factor: int) -> Integer[np.ndarray, "z rows columns"]:
    """The label in the middle of each block of `factor` x `factor` pixels."""
    half = factor // 2
    return np.ascontiguousarray(_whole_blocks(labels, factor)[:, half::factor, half::factor])


def enlarged(
    labels: Integer[np.ndarray, "z rows columns"],
    probability: UInt8[np.ndarray, "z rows columns"],
    decoder: Decoder,
    factor: int,
    shape: Index3,
) -> Integer[np.ndarray, "z y x"]:
    """Instances on the stack's own grid, with borders where the interpolated probability meets the threshold.

    Args:
        labels: Instances on the working grid.
        probability: Of the mask, in 255ths.
        decoder: Its mask threshold is the border of instances, except of those that `grow` makes.
        factor: Pixels of the stack per working pixel.
        shape: Of the stack.
    """
    if factor == 1:
        return labels
    _, rows, columns = shape
    row_of, column_of = (
        np.minimum(np.arange(n) // factor, m - 1) for n, m in zip(shape[1:], labels.shape[1:], strict=True)
    )
    found = np.empty(shape, labels.dtype)
    for z, section in enumerate(labels):
        if decoder.method == "grow":
            found[z] = section[row_of][:, column_of]
            continue
        grown = np.where(section == 0, ndimage.maximum_filter(section, 3), section)
        fine = _interpolated(probability[z], factor)[:rows, :columns]
        found[z] = np.where(fine > int(255 * decoder.mask), grown[row_of][:, column_of], 0)
    return found


def enlarged_map(
    probability: UInt8[np.ndarray, "z rows columns"], factor: int, shape: Index3
) -> UInt8[np.ndarray, "z y x"]:
    """A map in 255ths on the stack's own grid."""
    if factor == 1:
        return probability
    found = np.empty(shape, np.uint8)
    for z, section in enumerate(probability):
        found[z] = np.rint(_interpolated(section, factor)[: shape[1], : shape[2]]).astype(np.uint8)
    return found


def _interpolated(section: UInt8[np.ndarray, "rows columns"], factor: int) -> Float32[np.ndarray, "y x"]:
    """Linear interpolation between pixel centres."""
    coarse = torch.from_numpy(np.ascontiguousarray(section)).float()[None, None]
    return F.interpolate(coarse, scale_factor=float(factor), mode="bilinear", align_corners=False)[0, 0].numpy()


def _whole_blocks(voxels: Shaped[np.ndarray, "z y x"], factor: int) -> Shaped[np.ndarray, "z rows columns"]:
    """The stack with its last rows and columns repeated up to a multiple of the factor."""
    more: Sequence[tuple[int, int]] = [(0, 0), *((0, -n % factor) for n in voxels.shape[1:])]
    return np.pad(voxels, more, mode="edge") if any(after for _, after in more) else voxels
