"""How a scan faces the reader: the anatomical planes, and which array axis runs where in the patient.

The reader looks at the patient as radiologists do: in axial and coronal pictures the patient's right is on the left of
the page, in coronal and sagittal ones the head is up, and sagittal ones look to the page's left. Oblique and flipped
grids are shown along their own axes, turned to the nearest of these; no voxel is interpolated for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Shaped

from weakmask.volume.geometry import Box, Float3, Geometry, Index3


@dataclass(frozen=True)
class Plane:
    """One way to cut a patient; axes are 0 toward the head, 1 toward the back, 2 toward the patient's left.

    Attributes:
        name: What radiologists call it.
        across: The axis that a slice stands across.
        rows: The axis that runs down the page.
        columns: The axis that runs to the right of the page.
        head_up: Whether the rows run from head to foot, against their axis.
        marks: Which side of the patient is at the page's left and right.
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
    """A grid turned so that its axes run toward the head, toward the back and toward the patient's left.

    Attributes:
        geometry: The grid as it is stored.
        axes: The array axis that runs (head-foot, front-back, right-left).
        reversed: Whether that array axis runs against the patient's.
    """

    geometry: Geometry
    axes: Index3
    reversed: tuple[bool, bool, bool]

    @property
    def shape(self) -> Index3:
        """Voxels along the turned axes."""
        z, y, x = (self.geometry.shape[axis] for axis in self.axes)
        return z, y, x

    @property
    def spacing_mm(self) -> Float3:
        """Distance between voxels along the turned axes."""
        z, y, x = (self.geometry.spacing_mm[axis] for axis in self.axes)
        return z, y, x

    @property
    def planes(self) -> Sequence[Plane]:
        """The planes worth showing: all three, or the one in which a single slice lies."""
        return next(([plane] for plane in PLANES if self.shape[plane.across] == 1), PLANES)

    @property
    def flat(self) -> bool:
        """Whether this is a single picture, of which neither sides nor millimetres can be told for certain."""
        return len(self.planes) == 1

    def turn(self, voxels: Shaped[np.ndarray, "z y x"]) -> Shaped[np.ndarray, "z y x"]:
        """The voxels with turned axes: a view, nothing is copied."""
        turned = voxels.transpose(self.axes)
        z, y, x = (slice(None, None, -1 if back else 1) for back in self.reversed)
        return turned[z, y, x]

    def position_mm(self, axis: int, index: int) -> float:
        """Where the centre of a slice lies in the patient, along one turned axis."""
        middle = [(n - 1) / 2 for n in self.geometry.shape]
        stored = self.axes[axis]
        middle[stored] = self.geometry.shape[stored] - 1 - index if self.reversed[axis] else index
        return float((self.geometry.affine @ np.array([*middle, 1.0]))[axis])


def facing(geometry: Geometry) -> Frame:
    """The turn that brings a grid's axes nearest to the patient's."""
    direction = np.abs(np.asarray(geometry.direction))
    # rows of `direction` are the patient's axes, columns the array's: the best one-to-one match of six
    axes = max(permutations(range(3)), key=lambda order: sum(direction[axis, order[axis]] for axis in range(3)))
    z, y, x = (bool(geometry.direction[axis][axes[axis]] < 0) for axis in range(3))
    return Frame(geometry, (axes[0], axes[1], axes[2]), (z, y, x))


def cut(turned: Shaped[np.ndarray, "z y x"], plane: Plane, index: int, box: Box) -> Shaped[np.ndarray, "rows columns"]:
    """One slice as it lies on the page, only the part inside the box; `turned` comes from `Frame.turn`."""
    where: list[slice | int] = list(box.slices)
    where[plane.across] = index
    picture = turned[tuple(where)]
    return picture[::-1] if plane.head_up else picture
