"""Segmentations of 3D Slicer (.seg.nrrd): NRRD files whose header names the segments.

A layer is a label map. Segments of different layers may overlap. Versions before 4.11 wrote one layer per segment.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from weakmask.errors import UserError
from weakmask.progress import note
from weakmask.volume.file_faults import refuse_faulty_file
from weakmask.volume.geometry import Geometry
from weakmask.volume.itk import geometry_of, read_by_itk
from weakmask.volume.nrrd import NrrdHeader, read_nrrd_header
from weakmask.volume.payload import LARGE_LABELS
from weakmask.volume.structures import LabelOf, listed, merged, numbers_of
from weakmask.volume.volume import Volume

_FIELD = re.compile(r"Segment(\d{1,6})_(Name|LabelValue|Layer)")


@dataclass(frozen=True)
class Segment:
    """The voxels with one label in one layer.

    Attributes:
        name: As the user called it.
        label: Its number in the layer.
        layer: Index of the layer.
    """

    name: str
    label: int
    layer: int


def segments_of(path: Path) -> list[Segment]:
    """The segments that the header of a NRRD file names, in order; none in an ordinary file.

    Raises:
        UserError: It is not NRRD, or a segment's label or layer is not a number.
    """
    try:
        return _segments(read_nrrd_header(path))
    except ValueError as error:
        raise UserError(f"{path}: its segments have unusable numbers ({error}); save it again in 3D Slicer") from error


def _segments(header: NrrdHeader) -> list[Segment]:
    found: dict[int, dict[str, str]] = {}
    for key, value in header.pairs.items():
        match = _FIELD.fullmatch(key)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value
    return [
        Segment(
            name=segment.get("Name", f"Segment_{index + 1}"),
            label=int(segment.get("LabelValue", 1)),
            layer=int(segment.get("Layer", index)),
        )
        for index, (_, segment) in enumerate(sorted(found.items()))
    ]


def read_slicer_segmentation(path: Path, segments: list[Segment], label_of: LabelOf | None = None) -> Volume:
    """Read the segments of a NRRD file as one label map.

    Args:
        path: The file.
        segments: Its segments.
        label_of: Name of a segment -> its number; where it knows none, and without it, segments keep their numbers,
            or are numbered in order if there are several layers.

    Raises:
        UserError: The file is faulty, a segment's layer is not in it, or segments overlap.
    """
    refuse_faulty_file(path, ".nrrd", LARGE_LABELS)
    image = read_by_itk(path, ".nrrd")  # the layers are views of it
    layers, geometry = _layers(image)
    if any(not 0 <= segment.layer < len(layers) for segment in segments):
        raise UserError(f"{path}: it has {len(layers)} layers, and segments in others; save it again in 3D Slicer")
    names = [segment.name for segment in segments]
    numbers = numbers_of(names, label_of, path)
    if numbers is None:
        if label_of is not None:
            note(f"{path}: its segments ({listed(names)}) have no known name; their numbers count")
        if len(layers) == 1:
            return Volume(layers[0].copy(), geometry, "label")
        numbers = list(range(1, len(segments) + 1))
    parts = (
        (segment.name, number, layers[segment.layer] == segment.label)
        for segment, number in zip(segments, numbers, strict=True)
        if number is not None
    )
    return Volume(merged(parts, path), geometry, "label")


def _layers(image: sitk.Image) -> tuple[np.ndarray, Geometry]:
    """Voxels (layer, z, y, x), as a view of the image, and their geometry."""
    voxels = sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() == 1:
        geometry = geometry_of(image)
        return voxels.reshape(1, *geometry.shape), geometry
    geometry = geometry_of(sitk.VectorIndexSelectionCast(image, 0))
    return np.moveaxis(voxels, -1, 0), geometry
