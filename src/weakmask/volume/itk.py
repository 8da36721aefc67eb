"""Conversion between volumes in the order (z, y, x) and SimpleITK images in the order (x, y, z)."""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from weakmask.errors import UserError
from weakmask.memory import is_out_of_memory
from weakmask.volume.geometry import Geometry
from weakmask.volume.nrrd import read_nrrd_header
from weakmask.volume.payload import LARGE
from weakmask.volume.volume import Kind, packed_labels

ITK_FORMATS = {
    ".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO", ".png": "PNGImageIO",
}  # fmt: skip
_NO_TURN = 1e-12  # smaller cosines are rounding
_STDERR = threading.Lock()


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Suppress the messages of ITK; faults are reported by exceptions.

    ITK has a switch for its own warnings. Its libraries write to the standard error of the process, which is therefore
    redirected to the null device inside the context (for other threads too). Without standard error nothing is done.
    """
    sitk.ProcessObject.GlobalWarningDisplayOff()
    with _STDERR:
        try:
            before = os.dup(2)
        except OSError:
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)


def read_by_itk(path: Path, suffix: str) -> sitk.Image:
    """Read a file in one of `ITK_FORMATS`, chosen by `suffix` and not by its name.

    Raises:
        UserError: ITK cannot read it.
    """
    reader = sitk.ImageFileReader()
    reader.SetImageIO(ITK_FORMATS[suffix])
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            return reader.Execute()
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError(f"unable to allocate {_stated_bytes(reader)} bytes for {path}") from error
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"{path}: cannot be read as {suffix} ({reason}); copy or export it again") from error


def stated_sizes(path: Path) -> tuple[int, ...] | None:
    """The sizes along each axis that the header of a file states, in rising order and without 1.

    None for a folder, and for a header that ITK cannot read.
    """
    if not path.is_file():
        return None
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        try:
            read_nrrd_header(path)
        except UserError:  # some faults crash ITK
            return None
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
    except RuntimeError:
        return None
    return tuple(sorted(size for size in reader.GetSize() if size > 1))


def _stated_bytes(reader: sitk.ImageFileReader) -> int:
    """The bytes of the voxels that the header promises."""
    reader.ReadImageInformation()
    voxel = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    bits = next((int(bits) for bits in ("64", "32", "16", "8") if bits in voxel), 8)
    return math.prod(reader.GetSize()) * reader.GetNumberOfComponents() * bits // 8


def write_by_itk(image: sitk.Image, path: Path, suffix: str) -> None:
    """Write a compressed file in one of `ITK_FORMATS`; a .png gets the first slice.

    Raises:
        RuntimeError: ITK cannot write it.
    """
    writer = sitk.ImageFileWriter()
    writer.SetImageIO(ITK_FORMATS[suffix])
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    with quiet_itk():
        writer.Execute(image[:, :, 0] if suffix == ".png" else image)


def to_itk(voxels: np.ndarray, geometry: Geometry) -> sitk.Image:
    """An ITK image with a copy of the voxels; bool becomes uint8 and float16 becomes float32, as ITK lacks both."""
    known = {"bool": np.uint8, "float16": np.float32}.get(voxels.dtype.name)
    image = sitk.GetImageFromArray(voxels if known is None else voxels.astype(known))
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm[::-1])
    direction = geometry.direction_xyz.copy()
    direction[np.abs(direction) < _NO_TURN] = 0.0  # ITK's inverse fails on cosines such as 1e-297, and resamples to 0
    image.SetDirection(direction.ravel().tolist())
    return image


def from_itk(image: sitk.Image, kind: Kind = "image") -> tuple[np.ndarray, Geometry]:
    """Voxels (a copy) and geometry of an ITK image of one channel, see `geometry_of`.

    Args:
        image: The image.
        kind: A large "label" map is copied into the smallest type that holds its labels.

    Raises:
        ValueError: As `geometry_of`, or a large label map has numbers that are not whole.
    """
    geometry = geometry_of(image)
    voxels = sitk.GetArrayViewFromImage(image).reshape(geometry.shape)
    if kind == "label" and voxels.nbytes > LARGE:
        return packed_labels(voxels, voxels.size).reshape(geometry.shape), geometry
    return voxels.copy(), geometry


def geometry_of(image: sitk.Image) -> Geometry:
    """Geometry of an ITK image of one channel; a 2-D image becomes one slice of 1 mm thickness.

    Axes of length 1 after the third are dropped.

    Raises:
        ValueError: The image has a fourth axis or several channels, or its grid is invalid.
    """
    size = image.GetSize()
    kind = image.GetPixelIDTypeAsString()
    if any(n > 1 for n in size[3:]) or "vector" in kind or "complex" in kind:
        raise ValueError(f"it holds {size} voxels of type {kind}; expected one volume of one channel")
    axes = min(len(size), 3)
    spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
    spacing[:axes] = image.GetSpacing()[:axes]
    origin[:axes] = image.GetOrigin()[:axes]
    direction[:axes, :axes] = np.reshape(image.GetDirection(), (len(size), len(size)))[:axes, :axes]
    if axes == 2:
        direction[2, 2] = np.sign(np.linalg.det(direction[:2, :2])) or 1.0
    return Geometry.from_xyz((*size, 1)[:3], spacing.tolist(), origin.tolist(), direction)
