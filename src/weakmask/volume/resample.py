"""Resampling of volumes onto other grids: linear for images, nearest neighbour for labels.

If both grids share their axes, interpolation runs axis by axis and plane by plane; ITK resamples rotated grids in
slabs. Both ways give the same values (the tests compare them with the plain formula):

* a voxel whose centre is inside the old grid or within half an old voxel of its outermost centres gets a value, beyond
  the outermost centres that of the edge; any further outside it gets `fill`;
* halfway between two voxels the nearest is the one with the higher index;
* a scan is not smoothed before it becomes coarser: plain trilinear interpolation, as in the dRAM paper.

Linear interpolation returns float32; labels keep their type. The voxels must be finite (`files.refuse_nonfinite`),
because a NaN spreads to its neighbours.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from weakmask.volume.geometry import Box, Float3, Geometry, Index3
from weakmask.volume.itk import to_itk
from weakmask.volume.volume import Volume

_SNAP = 1e-5  # of a voxel; closer positions are moved to a centre or halfway point, so equal grids give equal values
_STRAIGHT = 1e-4  # of a voxel; largest drift over the whole grid between axes that count as shared
_SLAB_VOXELS = 1 << 23


def resample_onto(volume: Volume, geometry: Geometry, fill: float = 0.0) -> Volume:
    """Resample a volume onto another grid of the same world.

    Args:
        volume: Images are interpolated linearly, labels take the nearest voxel.
        geometry: Any grid: cropped, coarser, flipped, rotated.
        fill: The value outside the volume's own extent (half a voxel around its outermost centres).

    Returns:
        float32 for images, the same type for labels; its geometry is the object that was passed.

    Raises:
        ValueError: The labels' type cannot hold `fill`.
    """
    dtype = volume.voxels.dtype if volume.kind == "label" else np.dtype(np.float32)
    outside = _as_value(fill, dtype)
    voxels = np.empty(geometry.shape, dtype)
    to_old = geometry.index_map(volume.geometry)
    if _shares_axes(to_old, geometry.shape):
        _resample_axes(volume, to_old, voxels, outside)
    else:
        _resample_turned(volume, geometry, voxels, outside)
    return Volume(voxels, geometry, volume.kind)


def resample_to_spacing(volume: Volume, spacing_mm: Float3, fill: float | None = None) -> Volume:
    """Resample to another spacing, from the same outer corner; the last voxels may reach past the old extent.

    Args:
        volume: As in `resample_onto`.
        spacing_mm: Along z, y, x.
        fill: Value of last voxels whose centre lies outside the old extent. None: labels are 0 there, and an image has
            the value of its edge, since any other would bleed into its neighbours when it is resampled again.
    """
    geometry = volume.geometry.with_spacing(spacing_mm)
    if fill is not None or volume.kind == "label":
        return resample_onto(volume, geometry, fill or 0.0)
    voxels = np.empty(geometry.shape, np.float32)
    _resample_axes(volume, geometry.index_map(volume.geometry), voxels, outside=None)
    return Volume(voxels, geometry, volume.kind)


def resample_to_shape(volume: Volume, shape: Index3) -> Volume:
    """Resample to `shape` voxels over the same extent; no voxel is outside, so no fill is needed."""
    return resample_onto(volume, volume.geometry.with_shape(shape))


def _as_value(fill: float, dtype: np.dtype) -> np.generic:
    with np.errstate(invalid="ignore"):
        value = np.asarray([fill]).astype(dtype)[0]
    if dtype != np.float32 and value != fill:
        raise ValueError(f"fill is {fill}; expected a value of {dtype}")
    return value


def _shares_axes(to_old: np.ndarray, shape: Index3) -> bool:
    """Whether each index depends on one axis only, over the whole grid."""
    drift = np.abs(to_old[:3, :3]) * (np.asarray(shape) - 1)
    np.fill_diagonal(drift, 0.0)
    return bool(drift.sum(axis=1).max() <= _STRAIGHT)


@dataclass(frozen=True)
class _Line:
    """Positions of the new voxels of one axis on the old axis.

    Attributes:
        inside: The new indices that have a value.
        low: For each of these the old index at or before it.
        high: The next old index, equal to `low` at the edge.
        weight: The share of `high`, float32 in [0, 1).
        nearest: The nearest old index.
    """

    inside: slice
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    nearest: np.ndarray

    @property
    def span(self) -> slice:
        """The old indices that are needed; at least one voxel must be inside."""
        return slice(int(self.low.min()), int(self.high.max()) + 1)


def _line(scale: float, offset: float, new: int, old: int, *, edge: bool = False) -> _Line:
    """Along one axis, new index i lies at old index scale * i + offset; with `edge` all new indices have a value."""
    at = scale * np.arange(new) + offset
    half = np.rint(2 * at) / 2
    at = np.where(np.abs(at - half) < _SNAP, half, at)
    valued = np.flatnonzero((at >= -0.5) & (at <= old - 0.5) | edge)
    inside = slice(int(valued[0]), int(valued[-1]) + 1) if len(valued) else slice(0, 0)
    at = np.clip(at[inside], 0, old - 1)
    low = np.floor(at).astype(np.intp)
    return _Line(
        inside=inside,
        low=low,
        high=np.minimum(low + 1, old - 1),
        weight=(at - low).astype(np.float32),
        nearest=np.floor(at + 0.5).astype(np.intp),
    )


def _resample_axes(volume: Volume, to_old: np.ndarray, into: np.ndarray, outside: np.generic | None) -> None:
    """Axis by axis: z blends two planes, y blends rows of the result, x blends its columns.

    Voxels outside the old grid become `outside`; None: they have the value of its edge.
    """
    sides, edge = zip(into.shape, volume.voxels.shape, strict=True), outside is None
    z, y, x = (_line(to_old[a, a], to_old[a, 3], new, old, edge=edge) for a, (new, old) in enumerate(sides))
    target = into[z.inside, y.inside, x.inside]
    if outside is not None and target.size < into.size:
        into.fill(outside)
    if not target.size:
        return
    if volume.kind == "label":
        for index, nearest in enumerate(z.nearest):
            target[index] = volume.voxels[nearest].take(y.nearest, 0).take(x.nearest, 1)
        return
    rows, columns = y.span, x.span
    up, down, left, right = y.low - rows.start, y.high - rows.start, x.low - columns.start, x.high - columns.start
    for index, weight in enumerate(z.weight):
        plane = volume.voxels[z.low[index], rows, columns].astype(np.float32)
        if weight:
            plane += (volume.voxels[z.high[index], rows, columns] - plane) * weight
        lines = plane.take(up, 0)
        lines += (plane.take(down, 0) - lines) * y.weight[:, None]
        values = lines.take(left, 1)
        values += (lines.take(right, 1) - values) * x.weight
        target[index] = values


def _resample_turned(volume: Volume, geometry: Geometry, into: np.ndarray, outside: np.generic) -> None:
    """Resample a rotated grid by ITK, which has the same rules at the edge; in slabs, since ITK copies its results."""
    resampler = sitk.ResampleImageFilter()
    label = volume.kind == "label"
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if label else sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float(outside))
    source = to_itk(volume.voxels, volume.geometry)
    resampler.SetOutputPixelType(source.GetPixelID() if label else sitk.sitkFloat32)
    slices, rows, columns = geometry.shape
    step = max(1, _SLAB_VOXELS // (rows * columns))
    for start in range(0, slices, step):
        stop = min(slices, start + step)
        slab = geometry.cropped(Box((start, 0, 0), (stop, rows, columns)))
        resampler.SetSize((columns, rows, stop - start))
        resampler.SetOutputSpacing(slab.spacing_mm[::-1])
        resampler.SetOutputOrigin(slab.origin_mm[::-1])
        resampler.SetOutputDirection(slab.direction_xyz.ravel().tolist())
        moved = resampler.Execute(source)
        into[start:stop] = sitk.GetArrayViewFromImage(moved)
