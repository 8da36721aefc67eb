"""Trachea and main bronchi, found as small, dark, separate holes near the midline in axial slices."""

import numpy as np
from jaxtyping import Float32

from weakmask.volume.geometry import Float3
from weakmask.volume.morphology import EDGES, Mask, components, grown, label_slices, object_boxes

# Lower than the lung's threshold, so that a wall thinner than a coarse voxel still separates lumen and lung.
LUMEN_HU = -750.0
SECTION_HU = -870.0  # largest mean of a lumen in one slice; tips and slivers of lung are denser
TUBE_HU = -910.0  # largest median along the tube
LARGEST_LUMEN_MM2 = 900.0  # a trachea has 100 to 500
LEAST_LENGTH_MM = 25.0
OFF_MIDLINE_MM = 45.0


def find_airways(hu: Float32[np.ndarray, "z y x"], air: Mask, from_midline_mm: np.ndarray, spacing_mm: Float3) -> Mask:
    """Find the trachea, main bronchi and other gas-filled tubes near the midline (the oesophagus).

    A bronchus is followed until it merges with the lung in an axial slice; bronchi further out stay in the lung.

    Args:
        hu: The scan, axes toward head, back and left.
        air: Air inside the body.
        from_midline_mm: Signed distance of every voxel from the sagittal midplane, broadcastable to the scan.
        spacing_mm: Voxel spacing (z, y, x).

    Returns:
        The tubes with the rim of voxels that hold lumen and wall, within the air.
    """
    sections, count = label_slices(air & (hu < LUMEN_HU))
    sizes = np.bincount(sections.ravel(), minlength=count + 1)
    means = np.bincount(sections.ravel(), hu.ravel(), count + 1) / np.maximum(sizes, 1)
    lumen = (sizes * spacing_mm[1] * spacing_mm[2] <= LARGEST_LUMEN_MM2) & (means < SECTION_HU)
    lumen[0] = False
    pieces, _ = components(lumen[sections])
    distance = np.abs(np.broadcast_to(from_midline_mm, hu.shape))
    tubes = np.zeros_like(air)
    for number, box in object_boxes(pieces):
        if box.shape[0] * spacing_mm[0] < LEAST_LENGTH_MM:
            continue
        piece = pieces[box.slices] == number
        off_midline_mm = np.median(distance[box.slices][piece])
        if np.median(hu[box.slices][piece]) < TUBE_HU and off_midline_mm < OFF_MIDLINE_MM:
            tubes[box.slices] |= piece
    return grown(tubes, EDGES) & air
