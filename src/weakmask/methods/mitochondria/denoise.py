"""The stages denoise_training and denoise: prepared stacks -> the same with less noise; off by default."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy import ndimage
from torch import nn

from weakmask.methods.mitochondria.config import DenoiseSettings, MitochondriaSettings
from weakmask.methods.mitochondria.interpolation import interpolated_sections, train_on_stack
from weakmask.methods.mitochondria.stack_index import TEST, TRAINING, StackRow, image_file, read_index
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.label_pairs import SLAB_VOXELS, Planes, slabs_of
from weakmask.volume.new_arrays import NewArrays, in_memory

STAGES = {TRAINING: "denoise_training", TEST: "denoise"}
TRUNCATE = 4.0  # sigmas that the Gaussian reaches


def denoise_training(work: Work[MitochondriaSettings]) -> None:
    """Write training/ with NAME-image.nii; without a method nothing."""
    _denoise(work, TRAINING, work.config.denoise_training)


def denoise(work: Work[MitochondriaSettings]) -> None:
    """Write test/ with NAME-image.nii; without a method nothing."""
    _denoise(work, TEST, work.config.denoise)


def _denoise(work: Work[MitochondriaSettings], part: str, settings: DenoiseSettings) -> None:
    """Write the stacks of a part with less noise; a stopped call goes on."""
    rows = [row for row in read_index(work.stage("prepare")) if row.part == part]
    for row in track(rows, "denoised stacks", len(rows)) if settings.method != "none" else ():
        file = image_file(work.out, row)
        if file.exists():
            continue  # from before the run was stopped
        image = read_volume(image_file(work.stage("prepare"), row))
        found = denoised(image.voxels, settings, work.config.seed, work.config.device, work.out / "weights" / row.scan)
        file.parent.mkdir(exist_ok=True)
        write_volume(image.with_voxels(np.asarray(found)), file)


def grey_file(work: Work[MitochondriaSettings], row: StackRow) -> Path:
    """The grey values of a stack on the working grid: with less noise, or where no stage left such as prepared."""
    file = image_file(work.stage(STAGES[row.part]), row)
    return file if file.exists() else image_file(work.stage("prepare"), row)


def denoised(
    stack: Planes,
    settings: DenoiseSettings,
    seed: int,
    device: str,
    folder: Path | None = None,
    new: NewArrays = in_memory,
    slab_voxels: int = SLAB_VOXELS,
) -> Planes:
    """A stack with less noise, in slabs, which change nothing; the stack itself where there is nothing to do.

    Args:
        stack: Grey values, bytes; a single section has no neighbours and stays as it is under `interpolation`.
        settings: The method and its numbers.
        seed: Of the network.
        device: Where the network is trained.
        folder: Gets the network; None: it is forgotten.
        new: Makes the array of the result.
        slab_voxels: Voxels of a slab, which has at least one section, beside the sections that it depends on.
    """
    depth, rows, columns = (int(n) for n in stack.shape)
    if settings.method == "none" or (settings.method == "interpolation" and depth < 2):
        return stack
    network = None
    if settings.method == "interpolation":
        with TemporaryDirectory() as forgotten:
            network = train_on_stack(stack, settings, seed, device, folder or Path(forgotten) / "weights")
    found = new("denoised", (depth, rows, columns), np.uint8)
    for slab in slabs_of((depth, rows, columns), slab_voxels):
        restored = _gaussian(stack, slab, settings) if network is None else _mixed(network, stack, slab, settings.share)
        found[slab] = np.rint(np.clip(restored, 0, 255)).astype(np.uint8)
    return found


def _gaussian(stack: Planes, slab: slice, settings: DenoiseSettings) -> np.ndarray:
    """The sections of a slab, filtered together with as many around as the filter reaches."""
    sigma = (settings.sigma_sections, settings.sigma_pixels, settings.sigma_pixels)
    reach = int(TRUNCATE * settings.sigma_sections + 0.5)
    first = max(0, slab.start - reach)
    around = np.asarray(stack[first : min(int(stack.shape[0]), slab.stop + reach)]).astype(np.float32)
    filtered = ndimage.gaussian_filter(around, sigma, mode="nearest", truncate=TRUNCATE)
    return filtered[slab.start - first : slab.stop - first]


def _mixed(network: nn.Module, stack: Planes, slab: slice, share: float) -> np.ndarray:
    """The sections of a slab, mixed with those that a network interpolates from their neighbours."""
    part = np.asarray(stack[slab])
    return np.float32(share) * interpolated_sections(network, stack, slab) + (1 - np.float32(share)) * part
