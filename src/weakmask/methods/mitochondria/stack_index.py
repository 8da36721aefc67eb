"""The table of prepared stacks, index.csv."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from weakmask.csv_table import read_csv, write_csv
from weakmask.volume.geometry import Float3, Index3

INDEX = "index.csv"
TRAINING, VALIDATION, TEST = (
    "training",
    "validation",
    "test",
)  # parts; of validation sections the stack is a training one


@dataclass(frozen=True)
class StackRow:
    """One prepared stack.

    Attributes:
        scan: Its name.
        patient: Its patient, or the name.
        part: Training or test.
        sections: Number of sections.
        first_training: The first section that is trained on.
        training_sections: Sections that are trained on; the others are validation sections, or a test.
        rows: Rows of a section in the file.
        columns: Columns of a section in the file.
        binning: Pixels along a side of the blocks that are one working pixel.
        z_nm: Thickness of a section.
        y_nm: Height of a pixel of the file.
        x_nm: Width of a pixel of the file.
        instances: Number of true instances.
        foreground: Their share of the voxels.
    """

    scan: str
    patient: str
    part: str
    sections: int
    first_training: int
    training_sections: int
    rows: int
    columns: int
    binning: int
    z_nm: float
    y_nm: float
    x_nm: float
    instances: int
    foreground: float

    @property
    def spacing_nm(self) -> Float3:
        """Voxel size of the stack."""
        return self.z_nm, self.y_nm, self.x_nm

    @property
    def working_nm(self) -> Float3:
        """Voxel size of the working grid."""
        return self.z_nm, self.y_nm * self.binning, self.x_nm * self.binning

    @property
    def held_out(self) -> str:
        """The part that its sections without training belong to."""
        return TEST if self.part == TEST else VALIDATION

    @property
    def training(self) -> slice:
        """The sections that are trained on."""
        return slice(self.first_training, self.first_training + self.training_sections)

    @property
    def held_out_sections(self) -> slice:
        """The sections without training, which lie before or after those with."""
        return slice(self.first_training) if self.first_training else slice(self.training_sections, self.sections)

    @property
    def held_out_shape(self) -> Index3:
        """Shape of the sections without training, in the file's pixels."""
        return self.sections - self.training_sections, self.rows, self.columns


def write_index(rows: Sequence[StackRow], folder: Path) -> None:
    """Write index.csv."""
    write_csv(pd.DataFrame([asdict(row) for row in rows]), folder / INDEX)


def read_index(prepared: Path) -> list[StackRow]:
    """The stacks of a finished prepare stage."""
    records = read_csv(prepared / INDEX).to_dict("records")
    rows = [{str(name): value for name, value in record.items()} for record in records]
    return [StackRow(**{**row, "scan": str(row["scan"]), "patient": str(row["patient"])}) for row in rows]


def evaluated_rows(prepared: Path) -> list[StackRow]:
    """The test stacks; without any, the training stacks that have validation sections."""
    rows = [row for row in read_index(prepared) if row.training_sections < row.sections]
    tested = [row for row in rows if row.part == TEST]
    return tested or rows


def image_file(prepared: Path, row: StackRow) -> Path:
    """The prepared grey values of a stack."""
    return prepared / row.part / f"{row.scan}-image.nii"


def labels_file(prepared: Path, row: StackRow) -> Path:
    """The prepared instances of a stack."""
    return prepared / row.part / f"{row.scan}-labels.nii"
