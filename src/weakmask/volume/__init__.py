"""Volumes: voxels with their geometry, image files, resampling, tiles and morphology."""

from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.volume import Volume

__all__ = [
    "Box",
    "Geometry",
    "Volume",
]
