"""TIFF stacks: one page a section, plain, of ImageJ or OME-TIFF, in any type of numbers."""

import logging
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.geometry import Box, Float3, Index3
from weakmask.volume.stack import Stack, nanometres, readable
from weakmask.volume.volume import Kind

SUFFIXES = (".tif", ".tiff")
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_MIN_IS_WHITE, _PALETTE = 0, 3  # TIFF's numbers of photometric interpretations
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its warnings become errors of one line


def open_tiff(path: Path, kind: Kind = "image") -> Stack:
    """A TIFF stack; 1-bit pages become 0 and 255, a palette's colours grey (in a label map, its numbers count).

    Args:
        path: An existing .tif or .tiff.
        kind: Whether it is read as an image or a label map.

    Raises:
        UserError: The file is truncated or damaged, pages differ in size, it has several channels or times, or a label
            map is in colour.
    """
    with readable(path):
        import tifffile  # noqa: PLC0415 - of the extra `em`

        with tifffile.TiffFile(path) as tif:
            _refuse_missing_pages(tif)
            series = tif.series[0]
            axes, shape = _axes_of(tif, path)
            page = series.keyframe
            convert = _conversion(page, kind, path)
            height, width = (shape[axes.index(axis)] for axis in "YX")
            parts = _series_of(tif)
            alone = int(np.prod(shape, dtype=object)) // (height * width * (shape[-1] if axes[-1] == "S" else 1))
            sections = alone * len(parts)
            spacing = _spacing_nm(tif, page)
            dtype = convert(np.zeros((1, 1, *shape[axes.index("X") + 1 :]), series.dtype)).dtype
            in_a_row = len(parts) == 1 and axes[-1] != "S" and page.bitspersample >= 8
            offset = series.dataoffset if in_a_row else None
            if offset is not None:
                held = path.stat().st_size - offset
                if held < series.nbytes:
                    raise ValueError(f"{series.nbytes} bytes of voxels are promised, {held} follow")
            stored = np.dtype(series.dtype).newbyteorder(tif.byteorder)
    grid: Index3 = (sections, height, width)

    def mapped(box: Box) -> np.ndarray:
        """Voxels that lie in one row in the file."""
        whole = np.memmap(path, stored, "r", offset or 0, grid)
        return convert(np.array(whole[box.slices]))

    def paged(box: Box) -> np.ndarray:
        """Voxels of pages that are packed, or apart."""
        _, ys, xs = box.slices
        with tifffile.TiffFile(path) as tif:
            pages = [page for part in _series_of(tif) for page in part.pages]
            return np.concatenate([convert(_page(pages[z], grid)[ys, xs])[None] for z in range(*_span(box))])

    if offset is not None:
        return Stack(path, grid, np.dtype(dtype), spacing, mapped)
    return Stack(path, grid, np.dtype(dtype), spacing, paged, (1, height, width))


def _series_of(tif: Any) -> list[Any]:
    """The series that are sections: of OME the first alone; else all, as pages written one by one are a series each."""
    return [tif.series[0]] if tif.is_ome or tif.is_imagej else list(tif.series)


def _refuse_missing_pages(tif: Any) -> None:
    """Refuse a file that ends before its last page: tifffile reads those before it as if there were no more.

    Raises:
        ValueError: The last page that is found names another one.
    """
    form, file = tif.tiff, tif.filehandle
    last = tif.pages[len(tif.pages) - 1].offset
    file.seek(last)
    tags = struct.unpack(form.tagnoformat, file.read(form.tagnosize))[0]
    file.seek(last + form.tagnosize + tags * form.tagsize)
    if struct.unpack(form.offsetformat, file.read(form.offsetsize))[0] != 0:
        raise ValueError(f"pages are missing behind page {len(tif.pages)}")


def _span(box: Box) -> tuple[int, int]:
    return box.start[0], box.stop[0]


def _page(page: Any, grid: Index3) -> np.ndarray:
    if page is None:
        raise ValueError("a page is missing")
    pixels = page.asarray()
    return pixels.reshape((*grid[1:], -1) if pixels.size > grid[1] * grid[2] else grid[1:])


def _axes_of(tif: Any, path: Path) -> tuple[str, tuple[int, ...]]:
    """Axes and shape of the first series without single ones, but for Y and X.

    Raises:
        UserError: It has channels or times beside sections, or there are images of other sizes.
    """
    series = tif.series[0]
    sizes = list(dict.fromkeys(f"{one.shape} of {one.dtype}" for one in _series_of(tif)))
    if len(sizes) > 1:
        raise UserError(f"{path}: its pages differ: {', '.join(sizes[:3])}; expected sections of one size")
    if not {"Y", "X"} <= set(series.axes):
        raise UserError(f"{path}: its axes are {series.axes}; expected sections of rows and columns (ZYX)")
    kept = [(axis, n) for axis, n in zip(series.axes, series.shape, strict=True) if n > 1 or axis in "YX"]
    axes, shape = "".join(axis for axis, _ in kept), tuple(n for _, n in kept)
    if not re.fullmatch(r"[^SYX]?YXS?", axes):
        raise UserError(
            f"{path}: its axes are {series.axes} of {series.shape}; expected sections of one channel at one time (ZYX)"
        )
    if axes[0] == "C":
        raise UserError(f"{path}: it holds {shape[0]} channels; expected the sections of one channel")
    return axes, shape


def _conversion(page: Any, kind: Kind, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """From the numbers of a page to the voxels that are read.

    Raises:
        UserError: Complex numbers, or a label map in colour.
    """
    colours, white_is_0 = page.colormap, page.photometric == _MIN_IS_WHITE
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise UserError(f"{path}: voxels of type {page.dtype}; expected real numbers")
    if page.samplesperpixel > 1 and kind == "label":
        raise UserError(f"{path}: a label map in colour; expected the label numbers as grey levels; save it so")

    def convert(pixels: np.ndarray) -> np.ndarray:
        """Grey values or label numbers."""
        if pixels.dtype == bool:
            return np.where(pixels ^ white_is_0, np.uint8(255), np.uint8(0))
        if page.photometric == _PALETTE and kind == "image" and colours is not None:
            grey = np.rint(np.tensordot(_LUMA, colours / 257.0, axes=1)).astype(np.uint8)
            return grey[np.minimum(pixels, len(grey) - 1)]
        if page.samplesperpixel > 1:
            return np.rint(pixels[..., :3] @ np.asarray(_LUMA)).astype(pixels.dtype)
        if white_is_0 and kind == "image" and pixels.dtype.kind == "u":
            return np.iinfo(pixels.dtype).max - pixels
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)

    return convert


def _spacing_nm(tif: Any, page: Any) -> Float3 | None:
    """The voxel size that OME or ImageJ state; None where one axis is missing or its unit is not known."""
    if tif.is_ome:
        return _ome_spacing(tif.ome_metadata or "")
    if not tif.is_imagej:
        return None
    notes = tif.imagej_metadata or {}
    scale = nanometres(str(notes.get("unit", "")).replace("\\u00B5", "µ"))
    across = [_pixels_per_unit(page, name) for name in ("YResolution", "XResolution")]
    steps = [float(notes.get("spacing", 0)), *(1 / n if n else 0.0 for n in across)]
    if scale is None or min(steps) <= 0 or not np.isfinite(steps).all():
        return None
    z, y, x = (step * scale for step in steps)
    return z, y, x


def _pixels_per_unit(page: Any, name: str) -> float:
    tag = page.tags.get(name)
    above, under = tag.value if tag is not None else (0, 1)
    return above / under if under else 0.0


def _ome_spacing(text: str) -> Float3 | None:
    """PhysicalSizeZ, Y and X of the first image, in the units beside them (OME's default is the micrometre)."""
    first = re.search(r"<Pixels\b[^>]*>", text)
    steps: list[float] = []
    for axis in "ZYX":
        size = re.search(rf'\bPhysicalSize{axis}="([^"]+)"', first[0]) if first else None
        unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]+)"', first[0]) if first else None
        scale = nanometres(unit[1] if unit else "um")
        if size is None or scale is None:
            return None
        steps.append(float(size[1]) * scale)
    z, y, x = steps
    return (z, y, x) if min(steps) > 0 and np.isfinite(steps).all() else None
