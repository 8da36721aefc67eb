"""Stacks of one picture a section: a folder of PNG, TIFF or JPEG files, or MitoEM's list of them in JSON."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from weakmask.errors import UserError
from weakmask.volume.geometry import Box, Index3
from weakmask.volume.payload import beside
from weakmask.volume.pictures import SUFFIXES as PICTURES
from weakmask.volume.pictures import read_picture
from weakmask.volume.stack import Stack, readable
from weakmask.volume.tiff_stack import SUFFIXES as TIFF
from weakmask.volume.tiff_stack import open_tiff
from weakmask.volume.volume import Kind

SUFFIXES = (*PICTURES, *TIFF)
_LISTED = ("image", "depth", "height", "width")  # that a list must have


def sections_of(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names: 2 comes before 10.

    Args:
        folder: A folder; hidden files and files that are no pictures are left out.
    """
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return sorted(files, key=natural_order)


def natural_order(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """A key that sorts names by the numbers in them; equal ones (`2` and `02`) by their letters."""
    words = re.split(r"(\d+)", path.name)
    return [(0, int(word), "") if word.isdecimal() else (1, 0, word) for word in words if word], path.name


def is_section_folder(path: Path) -> bool:
    """Whether a folder holds the sections of one stack: two or more pictures whose names differ in a number alone."""
    if not path.is_dir():
        return False
    names = [re.sub(r"\d+", "0", section.name) for section in sections_of(path)]
    return len(names) > 1 and len(set(names)) == 1 and "0" in Path(names[0]).stem


def open_sections(folder: Path, kind: Kind = "image") -> Stack:
    """The stack of a folder of pictures, which states no voxel size.

    1-bit pictures are 0 and 255, so that a mask is where voxels are not 0. Palettes and colour become grey; in a label
    map a palette's numbers count.

    Args:
        folder: It holds one picture a section.
        kind: Whether they are read as images or label maps.

    Raises:
        UserError: There are none, or they differ in size.
    """
    sections = sections_of(folder)
    if not sections:
        raise UserError(f"{folder}: holds no sections; expected pictures, one of {', '.join(SUFFIXES)} a section")
    return _stack(folder, sections, kind)


def is_tile_list(path: Path) -> bool:
    """Whether a file is called a list of sections (.json)."""
    return path.suffix.lower() == ".json" and path.is_file()


def open_tile_list(path: Path, kind: Kind = "image") -> Stack:
    """The stack of a list of MitoEM: JSON with `image`, `depth`, `height`, `width`, and tiles where sections have them.

    A section is a picture, or several in rows and columns: then its name has `{row}` and `{column}`, counted from
    `tile_st`, and each tile but the last of a row or column has `tile_size` pixels.

    Args:
        path: The list; the pictures lie in its folder or in folders inside.
        kind: Whether they are read as images or label maps.

    Raises:
        UserError: Not such a list, a picture is missing or has another size, or tiles are to be scaled.
    """
    with readable(path):
        notes = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(notes, dict) or any(name not in notes for name in _LISTED):
            raise UserError(f"{path}: not a list of sections; expected JSON with {', '.join(_LISTED)}")
        grid: Index3 = (int(notes["depth"]), int(notes["height"]), int(notes["width"]))
        names = [str(name) for name in notes["image"]]
        if len(names) != grid[0] or min(grid) < 1:
            raise UserError(f"{path}: {len(names)} sections and a grid of {grid}; expected one name for each section")
        if notes.get("tile_ratio", 1) != 1:
            raise UserError(f"{path}: tile_ratio is {notes['tile_ratio']}; expected 1: tiles are not scaled")
        if not any("{" in name for name in names):
            return _stack(path, [beside(path, name) for name in names], kind, grid)
        return _tiled(path, names, grid, notes, kind)


def _tiled(path: Path, names: Sequence[str], grid: Index3, notes: dict[str, Any], kind: Kind) -> Stack:
    """Sections in tiles."""
    side = int(notes["tile_size"])
    if side < 1:
        raise UserError(f"{path}: tile_size is {side}; expected pixels")
    first_row, first_column = (int(start) for start in notes.get("tile_st", (0, 0)))

    def tile(z: int, row: int, column: int) -> np.ndarray:
        """One tile of a section."""
        name = names[z].replace("{row}", str(row + first_row)).replace("{column}", str(column + first_column))
        pixels = _pixels(beside(path, name), kind)
        expected = (min(side, grid[1] - row * side), min(side, grid[2] - column * side))
        if pixels.shape != expected:
            raise UserError(f"{path}: the tile {name} has {pixels.shape} pixels; expected {expected}")
        return pixels

    def read(box: Box) -> np.ndarray:
        """Voxels of a box, from the tiles that it meets."""
        voxels = np.zeros(box.shape, dtype)
        rows, columns = (range(box.start[a] // side, (box.stop[a] - 1) // side + 1) for a in (1, 2))
        for z in range(box.start[0], box.stop[0]):
            for row in rows:
                for column in columns:
                    at = Box((z, row * side, column * side), (z + 1, (row + 1) * side, (column + 1) * side))
                    start = tuple(max(a, b) for a, b in zip(at.start, box.start, strict=True))
                    stop = tuple(min(a, b) for a, b in zip(at.stop, box.stop, strict=True))
                    place = tuple(slice(a - c, b - c) for a, b, c in zip(start, stop, box.start, strict=True))
                    part = tuple(slice(a - c, b - c) for a, b, c in zip(start[1:], stop[1:], at.start[1:], strict=True))
                    voxels[place] = tile(z, row, column)[part]
        return voxels

    dtype = tile(0, 0, 0).dtype
    return Stack(path, grid, dtype, None, read, (1, side, side))


def _stack(path: Path, sections: Sequence[Path], kind: Kind, grid: Index3 | None = None) -> Stack:
    """A stack of one picture a section."""
    with readable(sections[0]):
        first = _pixels(sections[0], kind)
    shape: Index3 = (len(sections), *first.shape)
    for section in sections if grid is None else ():
        _refuse_other_size(section, first.shape)
    if grid is not None and grid != shape:
        raise UserError(
            f"{path}: its grid is {grid}, and {sections[0].name} has {first.shape} pixels; correct the list"
        )

    def read(box: Box) -> np.ndarray:
        """Voxels of a box."""
        _, ys, xs = box.slices
        voxels = np.zeros(box.shape, dtype)
        for z in range(box.start[0], box.stop[0]):
            pixels = _pixels(sections[z], kind)
            if pixels.shape != first.shape or not np.can_cast(pixels.dtype, dtype):
                raise UserError(
                    f"{sections[z]}: {pixels.shape} pixels of {pixels.dtype}; expected {first.shape} of {dtype}, as "
                    "the other sections have"
                )
            voxels[z - box.start[0]] = pixels[ys, xs]
        return voxels

    dtype = first.dtype
    return Stack(path, shape, dtype, None, read, (1, *shape[1:]))


def _refuse_other_size(section: Path, expected: tuple[int, ...]) -> None:
    """Refuse a picture of another size than the first, from its header.

    Raises:
        UserError: Its size differs, or its header cannot be read.
    """
    if section.suffix.lower() in TIFF:
        found = open_tiff(section).shape[1:]
    else:
        with readable(section), Image.open(section) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            found = image.size if turned else image.size[::-1]
    if found != expected:
        raise UserError(f"{section}: {found} pixels; expected {expected}, as the first section has; crop or remove it")


def _pixels(section: Path, kind: Kind) -> np.ndarray:
    """The pixels (y, x) of one section.

    Raises:
        UserError: It cannot be read, or is a stack itself.
    """
    suffix = section.suffix.lower()
    if suffix not in TIFF:
        return read_picture(section, suffix, kind).voxels[0]
    stack = open_tiff(section, kind)
    if stack.shape[0] != 1:
        raise UserError(f"{section}: a stack of {stack.shape[0]} sections; expected one section a file")
    return stack[:][0]
