"""Geometry of the slices of a DICOM series, and checks that they form a regular grid."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.geometry import Geometry


@dataclass(frozen=True)
class Slice:
    """Header of one DICOM image, in the order and frame of DICOM (x, y, z; LPS; mm).

    Attributes:
        path: The file.
        shape: Rows and columns.
        spacing_mm: Between rows and between columns.
        thickness_mm: None if not stated.
        position: Centre of the first voxel; None if not stated (an X-ray).
        orientation: Directions along a row and along a column.
        number: The instance number; 0 if not stated.
    """

    path: Path
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    position: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float]
    number: int

    @property
    def normal(self) -> np.ndarray:
        """Direction from slice to slice: row direction x column direction, of length 1 in a valid header."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def height_mm(self) -> float:
        """Position of the slice along the normal; the instance number if it has no position."""
        return float(self.number) if self.position is None else float(self.normal @ self.position)


def stack_geometry(slices: tuple[Slice, ...], where: str) -> Geometry:
    """Geometry of slices that are sorted by height.

    Positions are rounded in headers: a distance may differ from the others by 5 %, or by 0.1 mm if that is less than a
    fifth of it, as long as no slice is more than a quarter of a slice off its place; sideways by half a pixel.

    Args:
        slices: At least one.
        where: Folder and series, for error messages.

    Raises:
        UserError: Slices are missing or duplicate, their distances, spacings or orientations differ, or the stack is
            sheared (gantry tilt).
    """
    first = slices[0]
    if any(s.spacing_mm != first.spacing_mm for s in slices):
        found = sorted({f"{s.spacing_mm[0]:g} x {s.spacing_mm[1]:g}" for s in slices})
        raise UserError(
            f"{where}: slices of different pixel spacing ({', '.join(found)} mm); keep one kind in the folder"
        )
    step = first.thickness_mm or 1.0
    if len(slices) > 1:
        if any(s.position is None for s in slices):
            raise UserError(f"{where}: {len(slices)} images without a position in space; give one file, not the folder")
        step = _even_step(slices, where)
        _refuse_leaning(slices, where)
    rows, columns = first.shape
    row, column = np.asarray(first.orientation[:3]), np.asarray(first.orientation[3:])
    try:
        return Geometry.from_xyz(
            (columns, rows, len(slices)),
            (first.spacing_mm[1], first.spacing_mm[0], step),
            first.position or (0.0, 0.0, 0.0),
            np.column_stack([row, column, first.normal]),
        )
    except ValueError as error:
        raise UserError(f"{where}: {error}; export the series again") from error


def _even_step(slices: tuple[Slice, ...], where: str) -> float:
    """The common distance between slices, in mm."""
    heights = np.array([s.height_mm for s in slices])
    steps = np.diff(heights)
    usual = float(np.median(steps))
    for index in np.flatnonzero(steps < max(1e-3, 0.1 * usual)):
        raise UserError(
            f"{where}: two slices at {heights[index]:.2f} mm ({slices[index].path.name}, "
            f"{slices[index + 1].path.name}); separate the acquisitions or remove the copy"
        )
    tolerance = max(0.05 * usual, min(0.1, 0.2 * usual))
    uneven = np.abs(steps - usual) > tolerance
    even = np.linspace(heights[0], heights[-1], len(heights))
    if not uneven.any() and np.abs(heights - even).max() <= 0.25 * usual:
        return float(steps.mean())
    counts = np.rint(steps / usual)
    if uneven.any() and (np.abs(steps - counts * usual) <= tolerance * counts).all():
        gaps = [f"between {heights[i]:.2f} and {heights[i + 1]:.2f} mm" for i in np.flatnonzero(counts > 1)]
        more = f" and {len(gaps) - 3} more gaps" if len(gaps) > 3 else ""
        raise UserError(
            f"{where}: {int(counts.sum()) - len(steps)} missing of {int(counts.sum()) + 1} slices, "
            f"{', '.join(gaps[:3])}{more} (they are {usual:g} mm apart); export the series again"
        )
    raise UserError(
        f"{where}: slices are {steps.min():.3g} to {steps.max():.3g} mm apart; expected one distance; "
        "resample the series or export one with even slices"
    )


def _refuse_leaning(slices: tuple[Slice, ...], where: str) -> None:
    """Refuse slices that are shifted sideways against each other."""
    first = slices[0]
    offsets = np.array([s.position for s in slices]) - np.asarray(first.position)
    heights = offsets @ first.normal
    sideways = offsets - heights[:, None] * first.normal
    limit = 0.5 * min(first.spacing_mm)
    if np.linalg.norm(sideways, axis=1).max() <= limit:
        return
    lean = sideways[-1] / heights[-1]
    if np.linalg.norm(sideways - heights[:, None] * lean, axis=1).max() <= limit:
        angle = np.degrees(np.arctan(np.linalg.norm(lean)))
        raise UserError(
            f"{where}: the gantry was tilted by {angle:.1f} degrees, the stack of slices leans; "
            "resample it onto a rectangular grid first (a DICOM converter with tilt correction does)"
        )
    raise UserError(f"{where}: slices are shifted sideways against each other; export the series again")
