"""A stack of slices that leans, because the gantry was tilted, on a rectangular grid and back."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from weakmask.volume.geometry import Geometry
from weakmask.volume.slice_stack import Slice, lean_of, stack_geometry, tilt_degrees
from weakmask.volume.volume import Volume


@dataclass(frozen=True, eq=False)
class TiltedStack:
    """A leaning stack, and the rectangular grid that holds all its slices.

    Attributes:
        geometry: The grid; its slices lie in the planes of the stack.
        shifts: Pixels (rows, columns) by which each slice lies further along the grid than the corner.
        shape: Rows and columns of a slice.
        degrees: The tilt.
    """

    geometry: Geometry
    shifts: np.ndarray
    shape: tuple[int, int]
    degrees: float

    def upright(self, slices: np.ndarray) -> Volume:
        """The slices on the grid: linear within a slice; what no slice covers gets the lowest value.

        Args:
            slices: Grey values (slice, row, column).
        """
        fill = slices.min()
        voxels = np.full(self.geometry.shape, fill, slices.dtype)
        rows, columns = self.shape
        for place, (pixels, shift) in enumerate(zip(slices, self.shifts, strict=True)):
            voxels[place, :rows, :columns] = pixels
            moved = ndimage.shift(voxels[place].astype(np.float32), shift, order=1, cval=float(fill))
            voxels[place] = np.rint(moved) if slices.dtype.kind in "iu" else moved
        return Volume(voxels, self.geometry)

    def leaning(self, mask: np.ndarray) -> np.ndarray:
        """The labels of a mask on the grid, at the pixels of the slices: of the nearest voxel.

        Args:
            mask: Labels on the grid.
        """
        rows, columns = self.shape
        moved = [
            ndimage.shift(labels, -shift, order=0)[:rows, :columns]
            for labels, shift in zip(mask, self.shifts, strict=True)
        ]
        return np.stack(moved)


def tilted_stack(slices: tuple[Slice, ...], where: str) -> TiltedStack | None:
    """The leaning stack of some slices; None if they do not lean.

    Args:
        slices: Sorted by height.
        where: Folder and series, for error messages.

    Raises:
        UserError: As `stack_geometry`, for all but the lean.
    """
    lean = lean_of(slices)
    if lean is None:
        return None
    first = slices[0]
    corner = np.asarray(first.position)
    heights = [float(first.normal @ (np.asarray(one.position) - corner)) for one in slices]
    standing = tuple(
        replace(one, position=tuple(float(v) for v in corner + height * first.normal))  # pyright: ignore[reportArgumentType]
        for one, height in zip(slices, heights, strict=True)
    )
    geometry = stack_geometry(standing, where)
    _, row_mm, column_mm = geometry.spacing_mm
    down, right = np.asarray(first.directions[3:]), np.asarray(first.directions[:3])
    per_mm = np.array([lean @ down / row_mm, lean @ right / column_mm])
    shifts = np.outer(heights, per_mm)
    before = np.ceil(np.maximum(0, -shifts.min(axis=0))).astype(int)
    after = np.ceil(np.maximum(0, shifts.max(axis=0))).astype(int)
    box = geometry.box
    grown = replace(
        box,
        start=(0, -int(before[0]), -int(before[1])),
        stop=(box.stop[0], box.stop[1] + int(after[0]), box.stop[2] + int(after[1])),
    )
    return TiltedStack(geometry.cropped(grown), shifts + before, first.shape, tilt_degrees(lean))
