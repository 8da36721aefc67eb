"""Anatomical planes of a scan, and the directions of its array axes in the patient.

Pictures follow the radiological convention: in axial and coronal pictures the patient's right is on the left of the
page, in coronal and sagittal pictures the head is up, and in sagittal pictures the patient faces the left of the page.
Oblique and flipped grids are shown along their own axes, assigned to the nearest plane without interpolation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from weakmask.volume.geometry import Box, Float3, Geometry, Index3
from weakmask.volume.storage_order import Order, nearest_order


@dataclass(frozen=True)
class Plane:
    """An anatomical plane; axes are 0 toward the head, 1 toward the back, 2 toward the patient's left.

    Attributes:
        name: Radiological name.
        across: The axis perpendicular to a slice.
        rows: The axis that runs down the page.
        columns: The axis that runs to the right of the page.
        head_up: Whether the rows run from head to foot, opposite to their axis.
        marks: Sides of the patient at the left and right of the page.
    """

    name: str
    across: int
    rows: int
    columns: int
    head_up: bool
    marks: tuple[str, str]


AXIAL = Plane("axial", across=0, rows=1, columns=2, head_up=False, marks=("R", "L"))
CORONAL = Plane("coronal", across=1, rows=0, columns=2, head_up=True, marks=("R", "L"))
SAGITTAL = Plane("sagittal", across=2, rows=0, columns=1, head_up=True, marks=("A", "P"))
PLANES = (AXIAL, CORONAL, SAGITTAL)


@dataclass(frozen=True)
class Frame:
    """A grid with its axes reordered to run toward the head, toward the back and toward the patient's left.

    Attributes:
        geometry: The grid as it is stored.
        order: The array axes that run (head-foot, front-back, right-left), and whether against the patient's axes.
    """

    geometry: Geometry
    order: Order

    @property
    def shape(self) -> Index3:
        """Voxels along the turned axes."""
        return self.order.grid(self.geometry).shape

    @property
    def spacing_mm(self) -> Float3:
        """Distance between voxels along the turned axes."""
        return self.order.grid(self.geometry).spacing_mm

    @property
    def planes(self) -> Sequence[Plane]:
        """All three planes, or the plane of a single slice."""
        return next(([plane] for plane in PLANES if self.shape[plane.across] == 1), PLANES)

    @property
    def flat(self) -> bool:
        """Whether this is a single picture, whose sides and spacing are not known for certain."""
        return len(self.planes) == 1

    def turn(self, voxels: Shaped[np.ndarray, "z y x"]) -> Shaped[np.ndarray, "z y x"]:
        """The voxels with turned axes, as a view without a copy."""
        return self.order.turn(voxels)

    def position_mm(self, axis: int, index: int) -> float:
        """Position of a slice's centre in the patient, along one turned axis."""
        turned = self.order.grid(self.geometry)
        middle = [(n - 1) / 2 for n in turned.shape]
        middle[axis] = index
        return float((turned.affine @ np.array([*middle, 1.0]))[axis])


def facing(geometry: Geometry) -> Frame:
    """The frame whose axes are nearest to the patient's axes."""
    return Frame(geometry, nearest_order(geometry))


def cut(turned: Shaped[np.ndarray, "z y x"], plane: Plane, index: int, box: Box) -> Shaped[np.ndarray, "rows columns"]:
    """One slice in page orientation, cropped to the box; `turned` comes from `Frame.turn`."""
    where: list[slice | int] = list(box.slices)
    where[plane.across] = index
    picture = turned[tuple(where)]
    return picture[::-1] if plane.head_up else picture
