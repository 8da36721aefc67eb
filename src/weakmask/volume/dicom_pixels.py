"""The pixels of DICOM slices, decoded by GDCM through SimpleITK."""

from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk

from weakmask.errors import UserError
from weakmask.memory import is_out_of_memory
from weakmask.volume.dicom_frames import Frame, single_frames
from weakmask.volume.itk import quiet_itk
from weakmask.volume.payload import refuse_bomb
from weakmask.volume.slice_stack import Slice

_LARGE_SLICE = 1 << 27  # bytes: 8192 x 8192 pixels in 16 bits; decoders need several times as much


def decoded(slices: Sequence[Slice]) -> np.ndarray:
    """Pixels (z, y, x) with slope and intercept applied; MONOCHROME1 is inverted.

    Files are read one by one: ITK's series reader would convert every slice to the type of the first and clip values.
    Each frame of enhanced DICOM is decoded as a file of its own, since GDCM would take the slope of the first for all.

    Returns:
        int16 if the values are whole numbers and fit, else int32 or float32.

    Raises:
        UserError: A file is truncated or cannot be decoded, or its size contradicts its header.
    """
    files = {one.path: one for one in slices}
    held = sum(_refuse_promises(one) for one in files.values())
    refuse_bomb(slices[0].path.parent, len(slices) * int(np.prod(slices[0].shape, dtype=object)) * 2, held)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    voxels = np.empty((len(slices), *slices[0].shape), np.int16)
    with closing(_files_to_decode(slices)) as waiting:
        for index, file in waiting:
            one = slices[index]
            reader.SetFileName(str(file))
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


def _files_to_decode(slices: Sequence[Slice]) -> Generator[tuple[int, Path]]:
    """Number of each slice and the file to decode it from, which for a frame is overwritten by the next one."""
    framed: dict[Path, dict[Frame, int]] = defaultdict(dict)
    for index, one in enumerate(slices):
        if one.frame is None:
            yield index, one.path
        else:
            framed[one.path][one.frame] = index
    if not framed:
        return
    with TemporaryDirectory(prefix="weakmask-") as folder:
        file = Path(folder) / "frame.dcm"
        for path, places in framed.items():
            for frame, image in single_frames(path, places):
                image.save_as(file, enforce_file_format=True)
                yield places[frame], file


def _refuse_promises(one: Slice) -> int:
    """The bytes of a slice's file, which must be able to hold the pixels that its header promises."""
    held = one.path.stat().st_size
    frames = 1 if one.frame is None else one.frame.total
    promised = frames * int(np.prod(one.shape, dtype=object)) * one.bits // 8
    if min(one.shape) < 1 or (promised > held and not one.packed):
        rows, columns = one.shape
        size = f"{rows} x {columns}" if frames == 1 else f"{frames} x {rows} x {columns}"
        raise UserError(
            f"{one.path}: its pixels cannot be decoded: its header promises {size} pixels, {promised} "
            f"bytes, and the file holds {held}; copy or export it again"
        )
    refuse_bomb(one.path, promised // frames, held, _LARGE_SLICE)
    return held


def _wide_enough(voxels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Convert the voxels to a type that also holds these pixels: int16, else int32, else float32."""
    if pixels.dtype.kind == "f":
        return voxels.astype(np.float32, copy=False)
    if voxels.dtype == np.int16 and (pixels.min() < -(2**15) or pixels.max() >= 2**15):
        return voxels.astype(np.int32)
    return voxels
