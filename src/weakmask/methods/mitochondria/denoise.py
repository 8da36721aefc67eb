"""The stages denoise_training and denoise: prepared stacks -> the same with less noise; off by default."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

from weakmask.methods.mitochondria.config import DenoiseSettings, MitochondriaSettings
from weakmask.methods.mitochondria.interpolation import interpolated_stack, train_on_stack
from weakmask.methods.mitochondria.stack_index import TEST, TRAINING, StackRow, image_file, read_index
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.volume.files import read_volume, write_volume

STAGES = {TRAINING: "denoise_training", TEST: "denoise"}


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
        write_volume(image.with_voxels(found), file)


def grey_file(work: Work[MitochondriaSettings], row: StackRow) -> Path:
    """The grey values of a stack on the working grid: with less noise, or where no stage left such as prepared."""
    file = image_file(work.stage(STAGES[row.part]), row)
    return file if file.exists() else image_file(work.stage("prepare"), row)


def denoised(
    stack: UInt8[np.ndarray, "z y x"],
    settings: DenoiseSettings,
    seed: int,
    device: str,
    folder: Path | None = None,
) -> UInt8[np.ndarray, "z y x"]:
    """A stack with less noise.

    Args:
        stack: Grey values; a single section has no neighbours and stays as it is under `interpolation`.
        settings: The method and its numbers.
        seed: Of the network.
        device: Where the network is trained.
        folder: Gets the network; None: it is forgotten.
    """
    if settings.method == "none" or (settings.method == "interpolation" and len(stack) < 2):
        return stack
    if settings.method == "gaussian":
        sigma = (settings.sigma_sections, settings.sigma_pixels, settings.sigma_pixels)
        restored = ndimage.gaussian_filter(stack.astype(np.float32), sigma, mode="nearest")
    else:
        with TemporaryDirectory() as forgotten:
            network = train_on_stack(stack, settings, seed, device, folder or Path(forgotten) / "weights")
        share = np.float32(settings.share)
        restored = share * interpolated_stack(network, stack) + (1 - share) * stack
    return np.rint(np.clip(restored, 0, 255)).astype(np.uint8)
