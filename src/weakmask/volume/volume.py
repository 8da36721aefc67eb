"""Volume: voxels together with their geometry, in array order (z, y, x)."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from weakmask.volume.geometry import Box, Geometry

Kind = Literal["image", "label"]


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels (z, y, x) with their geometry in the world; an X-ray or a slice has one voxel along z.

    `kind` decides the interpolation in resampling: linear for images, nearest neighbour for labels.

    Raises:
        ValueError: The array is not three-dimensional or its shape is not the geometry's.
    """

    voxels: np.ndarray
    geometry: Geometry
    kind: Kind = "image"

    def __post_init__(self) -> None:
        """Check that voxels and geometry have the same shape."""
        if self.voxels.shape != self.geometry.shape:
            raise ValueError(f"voxels have shape {self.voxels.shape}; the geometry has {self.geometry.shape}")

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
