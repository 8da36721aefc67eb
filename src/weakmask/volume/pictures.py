"""PNG and JPEG pictures: volumes of one grey slice without a place in the patient, or colour images.

A picture is turned as its EXIF orientation says, so that it lies as a viewer shows it and masks are drawn on it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageOps

from weakmask.errors import UserError, refuse_machine_fault
from weakmask.volume.file_faults import refuse_faulty_file
from weakmask.volume.geometry import Geometry
from weakmask.volume.itk import read_by_itk
from weakmask.volume.volume import Kind, Volume

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
SUFFIXES = (".png", ".jpg", ".jpeg")
_PALETTE = 3  # PNG's number for it
_ORIENTATION = 0x0112  # EXIF's number for it
_ROWS = 256  # that become grey at once


def read_picture(path: Path, suffix: str, kind: Kind) -> Volume:
    """A picture as one slice (1, y, x) with a spacing of 1 mm, in its own type.

    Colour becomes grey (ITU-R BT.601), transparency is ignored. A label map may have a palette: its numbers count, not
    its colours.

    Args:
        path: An existing .png or .jpg.
        suffix: Its format, as the lower-case suffix.
        kind: Whether it is read as an image or a label map.

    Raises:
        UserError: The file is truncated or damaged, or a label map is JPEG or coloured without a palette.
    """
    refuse_faulty_file(path, suffix)
    if suffix != ".png":
        if kind == "label":
            raise UserError(f"{path}: JPEG changes label numbers as it packs them; save the labels as .png")
        return _volume(_by_pillow(path))
    if kind == "label" and _colour_type(path) == _PALETTE:
        return _volume(_by_pillow(path))
    image = read_by_itk(path, suffix)
    if kind == "label" and image.GetNumberOfComponentsPerPixel() > 1:
        raise UserError(f"{path}: a label map in colour; expected the label numbers as grey levels; save it so")
    return _volume(_upright(sitk.GetArrayViewFromImage(image), path))


def is_picture(path: Path) -> bool:
    """Whether an image file is a picture, going by its suffix: its grey values are never Hounsfield units."""
    return path.suffix.lower() in SUFFIXES


def read_rgb(path: Path) -> tuple[np.ndarray, Geometry]:
    """A picture in colour.

    Args:
        path: An existing .png or .jpg.

    Returns:
        Red, green and blue (3, y, x) in the picture's own type (uint8, or uint16 for some PNG), and the grid (1, y, x)
        with a spacing of 1 mm. A grey picture has three equal channels; transparency is ignored.

    Raises:
        UserError: Not a picture, or one that is truncated or damaged.
    """
    suffix = path.suffix.lower()
    if not is_picture(path):
        raise UserError(f"{path}: not a picture; expected one of {', '.join(SUFFIXES)}")
    refuse_faulty_file(path, suffix)
    by_itk = suffix == ".png"
    pixels = _upright(sitk.GetArrayFromImage(read_by_itk(path, suffix)), path) if by_itk else _by_pillow(path)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    channels = np.ascontiguousarray(np.moveaxis(pixels[:, :, :3], 2, 0))
    return channels, Geometry((1, *channels.shape[1:]))


def _by_pillow(path: Path) -> np.ndarray:
    """Pixels read by Pillow, which keeps palette numbers and suppresses libjpeg's messages."""
    try:
        with _unbombed(), Image.open(path) as image:
            known = image.mode in ("L", "RGB", "P")
            return np.asarray(ImageOps.exif_transpose(image if known else image.convert("RGB")))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; scale the picture down") from error
    except (OSError, SyntaxError, ValueError) as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: the picture is truncated or damaged ({error}); copy or export it again") from error


@contextmanager
def _unbombed() -> Iterator[None]:
    """Let Pillow raise, not only warn, where a picture has more than 89 million pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _upright(pixels: np.ndarray, path: Path) -> np.ndarray:
    """Pixels (y, x, ...) that ITK read from a PNG, turned as its EXIF orientation says."""
    try:
        with _unbombed(), Image.open(path) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return pixels  # ITK read it
    if orientation in (5, 6, 7, 8):  # rows and columns are exchanged
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _colour_type(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(26)[25]


def _volume(pixels: np.ndarray) -> Volume:
    """(y, x) or (y, x, channel) as one grey slice."""
    grey = pixels[None]
    if pixels.ndim == 3:
        grey = np.empty((1, *pixels.shape[:2]), pixels.dtype)
        for row in range(0, len(pixels), _ROWS):  # as float64, whole pictures would take eight times the memory
            grey[0, row : row + _ROWS] = np.rint(pixels[row : row + _ROWS, :, :3] @ np.asarray(_LUMA))
    return Volume(grey.astype(pixels.dtype), Geometry((1, *pixels.shape[:2])))


def png_pixels(volume: Volume, path: Path) -> np.ndarray:
    """Pixels of a volume for a .png, (1, y, x): bool as 0 and 255, whole numbers unchanged in uint8 or uint16.

    Args:
        volume: To be written.
        path: The path, for error messages.

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
