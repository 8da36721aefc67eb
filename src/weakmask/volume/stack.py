"""Stacks of electron microscopy: volumes that are read a block at a time, with their voxel size in nanometres.

Files of electron microscopy state nanometres or micrometres, a `Geometry` is in millimetres: a stack keeps nanometres
as its file does, and `Stack.volume` converts once, so that everything behind it is in millimetres.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from weakmask.errors import MachineError, UserError, refuse_machine_fault
from weakmask.memory import TOO_LARGE, memory_bytes
from weakmask.volume.geometry import Box, Float3, Geometry, Index3
from weakmask.volume.payload import AGAIN
from weakmask.volume.volume import Kind, Volume, as_image, as_label

NM_PER_MM = 1e6
_NM = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3,
    "micrometer": 1e3, "micrometre": 1e3, "mm": 1e6, "millimeter": 1e6, "millimetre": 1e6, "cm": 1e7, "m": 1e9,
    "meter": 1e9, "metre": 1e9, "angstrom": 0.1, "å": 0.1, "pm": 1e-3, "picometer": 1e-3,
}  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """A volume on the disk.

    Attributes:
        path: The file or folder.
        shape: Voxels along z, y and x; z runs over the sections.
        dtype: Type of the voxels that are read.
        spacing_nm: Voxel size along z, y and x in nm; None if the file does not state it.
        read_box: The voxels of a box inside the grid; `read` checks the box and turns faults into one line.
        chunks: Shape of the parts that are packed together, so that a box costs as much as all parts that it meets;
            None: they are not packed.
    """

    path: Path
    shape: Index3
    dtype: np.dtype[Any]
    spacing_nm: Float3 | None
    read_box: Callable[[Box], np.ndarray]
    chunks: Index3 | None = None

    def read(self, box: Box) -> np.ndarray:
        """The voxels of a box (z, y, x).

        Raises:
            ValueError: The box is empty or reaches past the grid.
            UserError: The file is truncated or damaged.
        """
        _refuse_outside(box, self.shape)
        with readable(self.path):
            voxels = self.read_box(box)
            if voxels.shape != box.shape:
                raise ValueError(f"{voxels.shape} voxels where {box.shape} are expected")
            return voxels.astype(self.dtype, copy=False)

    def __getitem__(self, index: Any) -> np.ndarray:
        """The voxels of slices of step 1 along the first axes, as of an array; an axis not named is whole.

        Raises:
            TypeError: The index holds anything else than slices of step 1.
            UserError: The file is truncated or damaged.
        """
        along = index if isinstance(index, tuple) else (index,)
        if len(along) > 3 or not all(isinstance(part, slice) and part.step in (None, 1) for part in along):
            raise TypeError(f"a stack takes up to three slices of step 1, not {index!r}; use `read` with a Box")
        spans = [part.indices(n)[:2] for part, n in zip((*along, *[slice(None)] * 3), self.shape, strict=False)]
        (z0, z1), (y0, y1), (x0, x1) = spans
        return self.read(Box((z0, y0, x0), (z1, y1, x1)))

    def part(self, box: Box) -> "Stack":
        """The voxels of a box as a stack of its own.

        Raises:
            ValueError: The box is empty or reaches past the grid.
        """
        _refuse_outside(box, self.shape)

        def read(inner: Box) -> np.ndarray:
            """Voxels of a box of the part."""
            start = tuple(a + b for a, b in zip(inner.start, box.start, strict=True))
            stop = tuple(a + b for a, b in zip(inner.stop, box.start, strict=True))
            return self.read_box(Box(start, stop))  # pyright: ignore[reportArgumentType] - of three axes

        return replace(self, shape=box.shape, read_box=read)

    def volume(self, kind: Kind = "image", spacing_nm: Sequence[float] | None = None) -> Volume:
        """The whole stack in memory, with its geometry in mm.

        Args:
            kind: "label" for masks and instances.
            spacing_nm: Voxel size along z, y and x, instead of the file's. Without either, a voxel is 1 mm wide, as
                the pixels of a picture are.

        Raises:
            UserError: The stack is damaged or does not fit into memory, or a label map holds fractions.
        """
        self.refuse_too_large()
        spacing = self.spacing_nm if spacing_nm is None else spacing_nm
        z, y, x = (1.0, 1.0, 1.0) if spacing is None else (step / NM_PER_MM for step in spacing)
        voxels = self.read(Box((0, 0, 0), self.shape))
        with readable(self.path):
            whole = Volume(voxels, Geometry(self.shape, (z, y, x)), kind)
            return as_image(whole) if kind == "image" else as_label(whole)

    def refuse_too_large(self) -> None:
        """Refuse to read a whole stack that takes more than a quarter of the memory.

        Raises:
            UserError: It does.
        """
        size = int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize
        if size > TOO_LARGE * memory_bytes():
            raise UserError(
                f"{self.path}: {size // 10**9} GB of voxels, more than a quarter of this machine's memory; cut a "
                "part out of the stack, or let a method for stacks read it in blocks"
            )

    def required_spacing_nm(self, given: Sequence[float] | None = None, setting: str = "spacing_nm") -> Float3:
        """The voxel size in nm: the one that is given, or else the file's.

        Args:
            given: Voxel size along z, y and x.
            setting: Name of the setting by which a user gives it, for the message.

        Raises:
            UserError: The file states none and none is given, or the given one is not three positive numbers.
        """
        if given is None:
            if self.spacing_nm is None:
                raise UserError(
                    f"{self.path}: states no voxel size; give it with {setting}, in nm along z, y and x: 30,8,8 say"
                )
            return self.spacing_nm
        return positive_spacing(given, setting)


def _refuse_outside(box: Box, shape: Index3) -> None:
    if box.clipped(shape) != box or min(box.shape) < 1:
        raise ValueError(f"the box {box} is empty or reaches past the grid {shape}")


def positive_spacing(spacing_nm: Sequence[float], where: object) -> Float3:
    """A voxel size as three positive numbers.

    Args:
        spacing_nm: Along z, y and x, in nm.
        where: Its file or setting, for the message.

    Raises:
        UserError: They are not three positive finite numbers.
    """
    if len(spacing_nm) != 3 or not all(np.isfinite(step) and step > 0 for step in spacing_nm):
        raise UserError(
            f"{where}: the voxel size is {list(spacing_nm)}; expected three positive numbers, nm along z, y, x"
        )
    z, y, x = (float(step) for step in spacing_nm)
    return z, y, x


def nanometres(unit: object) -> float | None:
    """How many nm a unit of length is; None for a unit that is not known."""
    return _NM.get(str(unit).strip().lower().replace("\\u00b5", "µ"))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what libraries raise on a damaged file into one line.

    Raises:
        UserError: The file cannot be read.
        MachineError: The machine is at fault.
    """
    try:
        yield
    except (UserError, MachineError):
        raise
    except Exception as error:  # libraries raise nearly anything on damaged files, MemoryError too
        refuse_machine_fault(error, path)
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, ImportError) or "imagecodecs" in reason:
            raise UserError(
                f"{path}: this format needs the libraries of the extra `em` ({reason}); pip install 'weakmask[em]'"
            ) from error
        raise UserError(f"{path}: the stack is truncated, damaged or of an unknown form ({reason}); {AGAIN}") from error
