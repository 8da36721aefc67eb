"""Volume: voxels together with their geometry, in array order (z, y, x)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from weakmask.volume.geometry import Box, Geometry

Kind = Literal["image", "label"]
_LABEL_TYPES = (np.uint8, np.int32, np.int64)  # of labels that are packed; the first that holds them


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels (z, y, x) with their geometry in the world; an X-ray or a slice has one voxel along z.

    `Volume.from_array(array, spacing_mm)` makes one from a NumPy array.

    Attributes:
        voxels: Array (z, y, x).
        geometry: Shape, spacing, origin and direction of the grid.
        kind: Decides the interpolation in resampling: linear for an "image", nearest neighbour for a "label" map.

    Raises:
        TypeError: The voxels are not an array, or the geometry is not a `Geometry`.
        ValueError: The array's shape is not the geometry's.
    """

    voxels: np.ndarray
    geometry: Geometry
    kind: Kind = "image"

    def __post_init__(self) -> None:
        """Check that voxels and geometry are of the right types and have the same shape."""
        if not isinstance(self.voxels, np.ndarray) or not isinstance(self.geometry, Geometry):
            raise TypeError(
                f"voxels are {_type(self.voxels)} and the geometry is {_type(self.geometry)}; expected a NumPy array "
                "and a Geometry; Volume.from_array(array, spacing_mm) makes a volume from an array"
            )
        if self.voxels.shape != self.geometry.shape:
            raise ValueError(f"voxels have shape {self.voxels.shape}; the geometry has {self.geometry.shape}")

    @classmethod
    def from_array(cls, array: ArrayLike, spacing_mm: Sequence[float], kind: Kind = "image") -> "Volume":
        """Make a volume from an array.

        The grid starts at the world's origin and runs along its axes: slices toward the head, rows toward the back,
        columns toward the patient's left. Flip an array that runs another way, or give a `Geometry` with its direction.

        Args:
            array: (z, y, x), or (y, x) for a slice or a picture; anything that `numpy.asarray` takes.
            spacing_mm: Voxel size along each axis of the array, in mm.
            kind: "image" for grey values (float64 becomes float32), "label" for whole numbers (bool becomes uint8).

        Raises:
            ValueError: The array is not of numbers, has not 2 or 3 axes or is empty, labels have fractions, or the
                spacing does not have a positive number for each axis.
        """
        voxels, spacing = np.asarray(array), tuple(float(step) for step in spacing_mm)
        if voxels.ndim not in {2, 3} or len(spacing) != voxels.ndim:
            raise ValueError(
                f"the array has shape {voxels.shape} and spacing_mm is {spacing}; expected an array (z, y, x) or "
                "(y, x), and the voxel size in mm along each of its axes"
            )
        if voxels.dtype.kind not in "biuf":
            raise ValueError(f"the array is of type {voxels.dtype}; expected real numbers")
        z, y, x = (1.0, *spacing)[-3:]  # a slice has a thickness of 1 mm
        voxels = voxels[None] if voxels.ndim == 2 else voxels
        geometry = Geometry(voxels.shape, (z, y, x))
        return as_label(cls(voxels, geometry)) if kind == "label" else as_image(cls(voxels, geometry))

    def __repr__(self) -> str:
        """One line with kind, shape, spacing, type and memory."""
        spacing = " x ".join(f"{s:.3g}" for s in self.geometry.spacing_mm)
        shape = " x ".join(map(str, self.voxels.shape))
        return f"Volume({self.kind}, {shape}, {spacing} mm, {self.voxels.dtype}, {self.voxels.nbytes / 2**20:.1f} MiB)"

    def with_voxels(self, voxels: np.ndarray, kind: Kind | None = None) -> "Volume":
        """Other voxels on the same grid."""
        return replace(self, voxels=voxels, kind=kind or self.kind)

    def crop(self, box: Box, fill: float = 0) -> "Volume":
        """Copy the voxels of a box; voxels outside the grid are `fill`."""
        inside = box.clipped(self.geometry.shape)
        if inside == box:
            return replace(self, voxels=self.voxels[box.slices].copy(), geometry=self.geometry.cropped(box))
        voxels = np.full(box.shape, fill, dtype=self.voxels.dtype)
        if min(inside.shape) > 0:
            start = (a - b for a, b in zip(inside.start, box.start, strict=True))
            target = tuple(slice(a, a + n) for a, n in zip(start, inside.shape, strict=True))
            voxels[target] = self.voxels[inside.slices]
        return replace(self, voxels=voxels, geometry=self.geometry.cropped(box))

    def pad(self, voxels: tuple[int, int, int], fill: float = 0) -> "Volume":
        """Add `voxels` voxels of `fill` on both sides of each axis."""
        return self.crop(self.geometry.box.grown(voxels), fill)

    def flip(self, axis: int) -> "Volume":
        """Reverse one axis of the array; no voxel moves in the world."""
        voxels = np.ascontiguousarray(np.flip(self.voxels, axis))
        return replace(self, voxels=voxels, geometry=self.geometry.flipped(axis))


def as_image(volume: Volume) -> Volume:
    """The volume as an image: float64 becomes float32, other types stay."""
    if volume.voxels.dtype != np.float64:
        return replace(volume, kind="image")
    with np.errstate(over="ignore"):  # too large numbers become infinite, which is refused later
        return volume.with_voxels(volume.voxels.astype(np.float32), "image")


def as_label(volume: Volume) -> Volume:
    """The volume as a label map: whole numbers saved as floats become integers, bool becomes uint8.

    Raises:
        ValueError: A voxel is not a whole number.
    """
    labels = volume.voxels
    if labels.dtype.kind == "f":
        labels = packed_labels(labels, labels.size).reshape(labels.shape)
    return volume.with_voxels(labels.view(np.uint8) if labels.dtype == bool else labels, "label")


def packed_labels(parts: Iterable[np.ndarray], size: int, refuse: Callable[[int], None] | None = None) -> np.ndarray:
    """Labels in the smallest of the types uint8, int32 and int64 that holds all of them.

    Args:
        parts: The numbers, some at a time, so that their own wide type needs little memory.
        size: How many numbers the parts have together.
        refuse: Called with the bytes of the labels before they are allocated, so that it may raise; None: any number.

    Returns:
        The labels in one row.

    Raises:
        ValueError: A number is not whole, or beyond 64 bits.
    """
    if refuse is not None:
        refuse(size)
    labels, filled = np.empty(size, np.uint8), 0
    for part in parts:
        ends = part.min(), part.max()
        if part.dtype.kind == "f" and not (np.isfinite(ends).all() and np.array_equal(part, np.rint(part))):
            raise ValueError("a label map with fractions; expected whole numbers")
        low, high = map(int, ends)
        holding = [np.dtype(kind) for kind in _LABEL_TYPES if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max]
        fitting = [kind for kind in holding if np.can_cast(labels.dtype, kind)]
        if not fitting:
            raise ValueError(f"a label map with the number {high if low >= 0 else low}; expected labels of 64 bits")
        if fitting[0] != labels.dtype:
            if refuse is not None:
                refuse(size * fitting[0].itemsize)
            labels = labels.astype(fitting[0])
        labels[filled : filled + part.size] = part.ravel()
        filled += part.size
    return labels


def _type(value: object) -> str:
    return f"of type {type(value).__name__}"
