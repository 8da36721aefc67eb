"""Geometry of the slices of a DICOM series, and checks that they form a regular grid."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.dicom_frames import Frame
from weakmask.volume.geometry import Geometry

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_SPACING_TOLERANCE = 1e-3  # relative: half a pixel at the edge of 512


@dataclass(frozen=True)
class Slice:
    """Header of one DICOM image or frame, in the order and frame of DICOM (x, y, z; LPS; mm).

    Attributes:
        path: The file.
        shape: Rows and columns.
        spacing_mm: Between rows and between columns; None if a slice of a volume does not state it.
        thickness_mm: None if not stated.
        position: Centre of the first voxel; None if not stated (an X-ray).
        orientation: Directions along a row and along a column; None if not stated.
        number: The instance number; 0 if not stated.
        marks: Acquisition number and time, and convolution kernel; empty where not stated.
        spacing_from: Empty if `spacing_mm` is PixelSpacing, else the field that it is taken from, or "1 mm".
        in_patient: Whether pixels have a size in the patient (CT, MR), unlike in a projection (X-ray).
        bits: Bits of a stored pixel.
        packed: Whether the pixels are compressed.
        frame: Place in the file, of enhanced DICOM; None: the file holds this slice alone.
    """

    path: Path
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    position: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None
    number: int
    marks: tuple[str, ...] = ()
    spacing_from: str = ""
    in_patient: bool = True
    bits: int = 16
    packed: bool = False
    frame: Frame | None = None

    def __str__(self) -> str:
        """Name of the file, and number of the frame in it."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame.index + 1}"

    @property
    def directions(self) -> tuple[float, float, float, float, float, float]:
        """The orientation; that of an axial slice if none is stated."""
        return self.orientation or AXIAL

    @property
    def normal(self) -> np.ndarray:
        """Direction from slice to slice: row direction x column direction, of length 1 in a valid header."""
        return np.cross(self.directions[:3], self.directions[3:])

    @property
    def height_mm(self) -> float:
        """Position of the slice along the normal; the instance number if it has no position."""
        return float(self.number) if self.position is None else float(self.normal @ self.position)


def stack_geometry(slices: tuple[Slice, ...], where: str) -> Geometry:
    """Geometry of slices that are sorted by height.

    Positions are rounded in headers: a distance may differ from the others by 5 %, or by 0.1 mm if that is less than a
    fifth of it, as long as no slice is more than a quarter of a slice off its place; sideways by half a pixel. Pixel
    spacings may differ by 0.1 %.

    Args:
        slices: At least one.
        where: Folder and series, for error messages.

    Raises:
        UserError: Positions, orientations or pixel spacings are missing, slices are missing or duplicate, their
            distances, spacings or orientations differ, or the stack is sheared (gantry tilt).
    """
    first = slices[0]
    spacing = _pixel_spacing(slices, where)
    step = first.thickness_mm or 1.0
    if len(slices) > 1:
        _refuse_placeless(slices, where)
        step = _even_step(slices, where)
        _refuse_leaning(slices, min(spacing), where)
    rows, columns = first.shape
    row, column = np.asarray(first.directions[:3]), np.asarray(first.directions[3:])
    try:
        return Geometry.from_xyz(
            (columns, rows, len(slices)),
            (spacing[1], spacing[0], step),
            first.position or (0.0, 0.0, 0.0),
            np.column_stack([row, column, first.normal]),
        )
    except ValueError as error:
        raise UserError(f"{where}: {error}; export the series again") from error


def _pixel_spacing(slices: tuple[Slice, ...], where: str) -> tuple[float, float]:
    """The spacing of the first slice, which all share up to rounding."""
    stated = [one.spacing_mm for one in slices if one.spacing_mm is not None]
    if len(stated) < len(slices):
        raise UserError(
            f"{where}: {len(slices) - len(stated)} of {len(slices)} images have no PixelSpacing, so the size of their "
            "voxels is unknown; export the series again, or convert it to NIfTI with the right spacing"
        )
    if not np.allclose(stated, stated[0], rtol=_SPACING_TOLERANCE, atol=0):
        found = sorted({f"{row:.6g} x {column:.6g}" for row, column in stated})
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise UserError(
            f"{where}: slices of different pixel spacing ({', '.join(found[:4])}{more} mm); keep one kind in the folder"
        )
    return stated[0]


def _refuse_placeless(slices: tuple[Slice, ...], where: str) -> None:
    """Refuse slices that cannot be stacked, because their headers do not say where they lie."""
    lost = sum(one.position is None for one in slices)
    if lost and not any(one.in_patient for one in slices):
        raise UserError(f"{where}: {lost} images without a position in space (X-rays); give one of the files instead")
    turned = sum(one.orientation is not None for one in slices)
    fields = {"a position in space (ImagePositionPatient)": lost}
    fields["an orientation (ImageOrientationPatient)"] = len(slices) - turned
    for field, count in fields.items():
        if count:
            raise UserError(
                f"{where}: {count} images without {field}, so head and feet, or left and right, are unknown; export "
                "the series again from the scanner or archive, with all fields"
            )


def _even_step(slices: tuple[Slice, ...], where: str) -> float:
    """The common distance between slices, in mm."""
    heights = np.array([s.height_mm for s in slices])
    steps = np.diff(heights)
    usual = float(np.median(steps))
    for index in np.flatnonzero(steps < max(1e-3, 0.1 * usual)):
        raise UserError(
            f"{where}: two slices at {heights[index]:.2f} mm ({slices[index]}, {slices[index + 1]}); "
            "separate the acquisitions or remove the copy"
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


def lean_of(slices: tuple[Slice, ...]) -> np.ndarray | None:
    """How far a stack leans because the gantry was tilted: sideways mm per mm of height, (x, y, z); None if it stands.

    Args:
        slices: Slices with a position, sorted by height.
    """
    if len(slices) < 2 or any(one.position is None or one.spacing_mm is None for one in slices):
        return None
    heights, sideways = _offsets(slices)
    limit = 0.5 * min(slices[0].spacing_mm or (0.0,))
    if heights[-1] <= 0 or np.linalg.norm(sideways, axis=1).max() <= limit:
        return None
    lean = sideways[-1] / heights[-1]
    leans = np.linalg.norm(sideways - heights[:, None] * lean, axis=1).max() <= limit
    return lean if leans else None


def tilt_degrees(lean: np.ndarray) -> float:
    """The angle of a lean."""
    return float(np.degrees(np.arctan(np.linalg.norm(lean))))


def _offsets(slices: tuple[Slice, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Height of each slice above the first, and its offset sideways, in mm."""
    first = slices[0]
    offsets = np.array([s.position for s in slices]) - np.asarray(first.position)
    heights = offsets @ first.normal
    return heights, offsets - heights[:, None] * first.normal


def _refuse_leaning(slices: tuple[Slice, ...], pixel_mm: float, where: str) -> None:
    """Refuse slices that are shifted sideways against each other."""
    _, sideways = _offsets(slices)
    if np.linalg.norm(sideways, axis=1).max() <= 0.5 * pixel_mm:
        return
    lean = lean_of(slices)
    if lean is not None:
        raise UserError(
            f"{where}: the gantry was tilted by {tilt_degrees(lean):.1f} degrees, the stack of slices leans; "
            "resample it onto a rectangular grid first (a DICOM converter with tilt correction does)"
        )
    raise UserError(f"{where}: slices are shifted sideways against each other; export the series again")
