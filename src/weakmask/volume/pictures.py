"""Pictures: volumes of one slice, without a place in the patient."""

from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def picture(pixels: np.ndarray) -> Volume:
    """A picture as one slice (1, y, x) with a spacing of 1 mm, in its own type; colour becomes grey (ITU-R BT.601).

    Args:
        pixels: (y, x), or (y, x, channel) with red, green, blue and maybe transparency, which is ignored.
    """
    grey = pixels[None]
    if pixels.ndim == 3:
        grey = np.rint(pixels[:, :, :3] @ np.asarray(_LUMA))[None]
    return Volume(grey.astype(pixels.dtype), Geometry(grey.shape))


def png_pixels(volume: Volume, path: Path) -> np.ndarray:
    """What a .png keeps of a volume, (1, y, x): bool as 0 and 255, whole numbers as they are in uint8 or uint16.

    Args:
        volume: To be written.
        path: What an error names.

    Raises:
        UserError: Several slices, or numbers that are not whole and from 0 to 65535.
    """
    voxels = volume.voxels
    if len(voxels) != 1:
        raise UserError(f"{path}: a .png holds one slice, the volume has {len(voxels)}; write .nii.gz")
    if voxels.dtype == bool:
        return voxels.astype(np.uint8) * np.uint8(255)
    if voxels.dtype.kind not in "iu" or voxels.min() < 0 or voxels.max() > 65535:
        raise UserError(f"{path}: a .png holds whole numbers from 0 to 65535, these are not; write .nii.gz")
    return voxels.astype(np.uint8 if voxels.max() <= 255 and voxels.dtype != np.uint16 else np.uint16)
