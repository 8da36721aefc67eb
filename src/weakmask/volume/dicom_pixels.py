"""The pixels of DICOM slices, decoded by GDCM through SimpleITK."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from weakmask.errors import UserError
from weakmask.memory import is_out_of_memory
from weakmask.volume.itk import quiet_itk
from weakmask.volume.payload import refuse_bomb
from weakmask.volume.slice_stack import Slice

_LARGE_SLICE = 1 << 27  # bytes: 8192 x 8192 pixels in 16 bits; decoders need several times as much


def decoded(slices: Sequence[Slice]) -> np.ndarray:
    """Pixels (z, y, x) with slope and intercept applied; MONOCHROME1 is inverted.

    Files are read one by one: ITK's series reader would convert every slice to the type of the first and clip values.

    Returns:
        int16 if the values are whole numbers and fit, else int32 or float32.

    Raises:
        UserError: A file is truncated or cannot be decoded, or its size contradicts its header.
    """
    sizes = [_refuse_promises(one) for one in slices]
    needed = len(slices) * int(np.prod(slices[0].shape, dtype=object)) * 2
    refuse_bomb(slices[0].path.parent, needed, sum(sizes))
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    voxels = np.empty((len(slices), *slices[0].shape), np.int16)
    for index, one in enumerate(slices):
        reader.SetFileName(str(one.path))
        try:
            with quiet_itk():
                image = reader.Execute()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise UserError(f"{one.path}: its pixels cannot be decoded; copy or export it again") from error
        pixels = sitk.GetArrayViewFromImage(image)
        if pixels.size != voxels[index].size:
            raise UserError(f"{one.path}: {pixels.shape} pixels; its header promises {one.shape}; export it again")
        voxels = _wide_enough(voxels, pixels)
        voxels[index] = pixels.reshape(one.shape)
    return voxels


def _refuse_promises(one: Slice) -> int:
    """The bytes of a slice's file, which must be able to hold the pixels that its header promises."""
    held = one.path.stat().st_size
    promised = int(np.prod(one.shape, dtype=object)) * one.bits // 8
    if min(one.shape) < 1 or (promised > held and not one.packed):
        rows, columns = one.shape
        raise UserError(
            f"{one.path}: its pixels cannot be decoded: its header promises {rows} x {columns} pixels, {promised} "
            f"bytes, and the file holds {held}; copy or export it again"
        )
    refuse_bomb(one.path, promised, held, _LARGE_SLICE)
    return held


def _wide_enough(voxels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Convert the voxels to a type that also holds these pixels: int16, else int32, else float32."""
    if pixels.dtype.kind == "f":
        return voxels.astype(np.float32, copy=False)
    if voxels.dtype == np.int16 and (pixels.min() < -(2**15) or pixels.max() >= 2**15):
        return voxels.astype(np.int32)
    return voxels
