"""How the context network sees a scan, its own spacing, the regions and what lies around them, and what it answers."""

from dataclasses import dataclass

import numpy as np

from weakmask.methods.dram.config import ContextSettings
from weakmask.networks.unet import VALID_LOSS
from weakmask.volume.geometry import Box, Float3, Geometry, Index3
from weakmask.volume.regions import region_boxes
from weakmask.volume.volume import Volume

BACKGROUND, VESSEL, LESION = range(3)  # the classes of its answer, section III-A-5
NOT_LEARNT = 255  # of labels: a voxel whose class is unknown, in a region without a score for example
ROUNDING = 1e-5  # of a voxel: NIfTI rounds the spacing of a scan to 7 digits, and DICOM does not
MARGIN = {"valid": VALID_LOSS // 2, "same": 8}  # voxels seen around the regions; a valid window reads them too
SAME_SPACING = 0.01  # relative difference of spacings that count as equal: files round them

SpacingRange = tuple[Float3, Float3]  # the finest and the coarsest spacing of a training, along z, y, x, in mm


@dataclass(frozen=True)
class ContextGrid:
    """Where a scan is seen, and where it is answered for.

    Attributes:
        whole: The regions and the margin around them, as far as the scan reaches.
        answered: The regions' box, in voxels of `whole`.
    """

    whole: Geometry
    answered: Box


def context_grid(
    image: Volume, regions: Volume, settings: ContextSettings, trained_mm: SpacingRange | None = None
) -> ContextGrid:
    """The grid for one scan; a single slice keeps its thickness and has no margin along z.

    Args:
        image: The scan.
        regions: On the same grid; at least one voxel is not 0.
        settings: Isotropic spacing, None for the scan's own; and the padding, which decides the margin.
        trained_mm: The spacings of the training, where they were the scans' own: a scan outside this range is
            resampled to its nearest end, because a network knows lesions only at the size in voxels that it has seen.
    """
    geometry = image.geometry
    flat, margin = geometry.shape[0] == 1, MARGIN[settings.padding]
    wanted = np.array(geometry.spacing_mm)
    if settings.spacing_mm is not None:
        wanted = np.full(3, settings.spacing_mm)
    elif trained_mm is not None:
        nearest = np.clip(wanted, *trained_mm)
        wanted = np.where(np.isclose(nearest, wanted, rtol=SAME_SPACING, atol=0.0), wanted, nearest)
    if flat:
        wanted[0] = geometry.spacing_mm[0]
    if not np.array_equal(wanted, geometry.spacing_mm):
        z, y, x = wanted.tolist()
        geometry = geometry.with_spacing((z, y, x))
    boxes = list(region_boxes(regions, 0.0).values())
    ratio = np.array(image.geometry.spacing_mm) / geometry.spacing_mm
    start = np.floor(np.min([box.start for box in boxes], axis=0) * ratio + ROUNDING)
    stop = np.ceil(np.max([box.stop for box in boxes], axis=0) * ratio - ROUNDING)
    box = Box(_index(start), _index(stop)).clipped(geometry.shape)
    whole = box.grown((0 if flat else margin, margin, margin)).clipped(geometry.shape)
    inner = Box(_index(np.subtract(box.start, whole.start)), _index(np.subtract(box.stop, whole.start)))
    return ContextGrid(geometry.cropped(whole), inner)


def _index(values: np.ndarray) -> Index3:
    z, y, x = (int(value) for value in values)
    return z, y, x
