"""Separation of the lungs into left and right, also where they touch."""

import numpy as np
from jaxtyping import Float32, Int8
from skimage.segmentation import watershed

from weakmask.volume.geometry import Float3
from weakmask.volume.morphology import Mask, components, distance_mm, object_boxes

LEFT, RIGHT = 1, 2
ONE_SIDED = 0.9  # of a piece must lie on one side of the midplane to belong to that side
LEAST_SHARE = 0.05  # of the whole; smaller pieces may lie across the midplane
RADII_MM = (2.0, 4.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0)  # erosions tried until two touching lungs separate


def part_sides(
    hu: Float32[np.ndarray, "z y x"], lungs: Mask, from_midline_mm: np.ndarray, spacing_mm: Float3
) -> tuple[Mask, Mask]:
    """Separate left and right lung; lungs that touch are divided along the brightest seam between them.

    Args:
        hu: The scan, axes toward head, back and left.
        lungs: Aerated lung, both sides.
        from_midline_mm: Signed distance from the sagittal midplane, positive to the patient's left.
        spacing_mm: Voxel spacing (z, y, x).
    """
    on_left = np.broadcast_to(from_midline_mm > 0, lungs.shape)
    sides = np.zeros(lungs.shape, dtype=np.int8)
    pieces, _ = components(lungs)
    for number, box in object_boxes(pieces):
        piece = pieces[box.slices] == number
        share = on_left[box.slices][piece].mean()
        if 1 - ONE_SIDED < share < ONE_SIDED:
            sides[box.slices][piece] = _parted(hu[box.slices], piece, on_left[box.slices], spacing_mm)[piece]
        else:
            sides[box.slices][piece] = LEFT if share > 0.5 else RIGHT
    return sides == LEFT, sides == RIGHT


def _parted(hu: np.ndarray, piece: Mask, on_left: Mask, spacing_mm: Float3) -> Int8[np.ndarray, "z y x"]:
    """Label the left and the right part of a piece that reaches across the midplane.

    The piece is eroded until no large part of it lies across the midplane. The remaining parts are the seeds of a
    watershed on the grey values, whose ridge is the junction line: two layers of pleura, denser than lung.
    """
    depth = distance_mm(np.pad(piece, 1), spacing_mm)[1:-1, 1:-1, 1:-1]
    for radius in RADII_MM:
        parts, count = components(depth > radius)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        share = np.bincount(parts.ravel(), on_left.ravel(), count + 1) / np.maximum(sizes, 1)
        across = (share > 1 - ONE_SIDED) & (share < ONE_SIDED) & (sizes > LEAST_SHARE * sizes[1:].sum())
        side = np.where(share > 0.5, LEFT, RIGHT).astype(np.int8)
        side[0] = 0
        if not across[1:].any() and {LEFT, RIGHT} <= set(side.tolist()):
            break
    else:  # the piece never separates: divide it at the midplane
        return np.where(on_left, LEFT, RIGHT).astype(np.int8)
    return watershed(hu, side[parts], mask=piece).astype(np.int8)
