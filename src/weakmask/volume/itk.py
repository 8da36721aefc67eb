"""The door to SimpleITK: volumes in the order (z, y, x) here, images in the order (x, y, z) there."""

import numpy as np
import SimpleITK as sitk

from weakmask.volume.geometry import Geometry


def to_itk(voxels: np.ndarray, geometry: Geometry) -> sitk.Image:
    """An ITK image with a copy of the voxels; bool becomes uint8 and half precision single, which ITK lacks.

    The voxels may be fewer than the geometry's along z (a slab from its first slice on).
    """
    known = {"bool": np.uint8, "float16": np.float32}.get(voxels.dtype.name)
    image = sitk.GetImageFromArray(voxels if known is None else voxels.astype(known))
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm[::-1])
    image.SetDirection(geometry.direction_xyz.ravel().tolist())
    return image


def from_itk(image: sitk.Image) -> tuple[np.ndarray, Geometry]:
    """The voxels (a copy) and the geometry of an ITK image of one channel; a flat image gets one slice 1 mm thick.

    Further axes of length 1 behind the third are dropped.

    Raises:
        ValueError: The image has a fourth axis, several channels, or a grid that no scanner makes.
    """
    size = image.GetSize()
    kind = image.GetPixelIDTypeAsString()
    if any(n > 1 for n in size[3:]) or "vector" in kind or "complex" in kind:
        raise ValueError(f"it holds {size} voxels of type {kind}; expected one volume of one channel")
    axes = min(len(size), 3)
    spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
    spacing[:axes] = image.GetSpacing()[:axes]
    origin[:axes] = image.GetOrigin()[:axes]
    direction[:axes, :axes] = np.reshape(image.GetDirection(), (len(size), len(size)))[:axes, :axes]
    if axes == 2:
        direction[2, 2] = np.sign(np.linalg.det(direction[:2, :2])) or 1.0
    geometry = Geometry.from_xyz((*size, 1)[:3], spacing.tolist(), origin.tolist(), direction)
    return sitk.GetArrayFromImage(image).reshape(geometry.shape), geometry
