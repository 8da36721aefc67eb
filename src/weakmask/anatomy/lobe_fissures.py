"""Moves the borders between lobes onto the fissures that are visible in a scan.

A lobe network places fissures at their usual position in the lungs. On the scan a fissure is a faint line one voxel
thick, interrupted in places and crossed by much brighter vessels; its distinctive feature is a length of centimetres.
Each border is therefore represented as a surface, a height over the (y, x) plane, and moved up or down. The evidence of
a column for a height is the brightness at that height minus the brightness at a small distance on both sides. It is
bounded, so that a vessel does not outweigh a fissure, and the surface is required to be smooth. Where the fissure is
not visible the border follows the visible parts around it; if no part is visible, noise moves it by some millimetres.

The heights are found by semi-global matching (Hirschmueller 2008, IEEE TPAMI 30(2), section 2.2) with a penalty linear
in the difference between neighbours: costs are summed along eight directions, and each column takes its cheapest
height.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer
from scipy import ndimage

from weakmask.anatomy.lobe_assignment import SIDES, paint_largest
from weakmask.anatomy.upright_frame import OUTSIDE_HU, coarse_upright
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.morphology import object_boxes, worn
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

EDGE_MM = 2.0  # edge of the voxels of the search
COARSEST_MM = 3.0  # fissures are not visible if voxels are longer than this along two axes
LINE_MM = 1.0  # standard deviation of the smoothing before the search
BESIDE_MM = 3.0  # distance from a line to the tissue on both sides that it is compared with
AROUND_MM = 8.0  # standard deviation of the window of the surrounding tissue
VESSEL_HU = 60.0  # voxels brighter than the surrounding tissue by this are vessels
RIM_MM = 4.0  # rim of the lungs that is left out
DARKEST_HU = -100.0  # lower bound of the difference to the surrounding tissue
BOUND_HU = 30.0  # bound of the evidence of one column
REACH_MM = 40.0  # largest move of a border
STEP_MM = 1.0  # distance between the tested heights
MOVE_HU = 1 / 256  # cost of a move by one mm; it grows with the square
BEND_HU = 12.0  # cost of a difference of one mm between neighbouring columns
SMOOTH_MM = 7.5  # standard deviation of the smoothing of the network's border
SMOOTH_MOVE_MM = 5.0  # standard deviation of the smoothing of the move
BEYOND_MM = 15.0  # distance past its rim to which a border is continued
LEAST_COLUMNS = 20  # smallest number of columns of a border

Voxels = Float32[np.ndarray, "z y x"]
Mask = Bool[np.ndarray, "z y x"]
Heights = Float32[np.ndarray, "y x"]
Columns = Bool[np.ndarray, "y x"]


@dataclass(frozen=True)
class Tissue:
    """Lung tissue for the search, on an upright grid of `EDGE_MM`.

    Attributes:
        grey: HU above the surrounding tissue, smoothed; 0 outside the lungs.
        clear: 1 for lung without vessels, else 0.
    """

    grey: Voxels
    clear: Voxels


def follow_fissures(lobes: Volume, image: Volume, field: Volume) -> Volume:
    """Move the borders between lobes onto the fissures of the scan.

    Args:
        lobes: In weakmask's numbering. A side that lacks one of its lobes is not changed.
        image: The scan in HU, on the same grid.
        field: Left lung 1, right lung 2, on the same grid.

    Returns:
        Lobes (uint8) in the same voxels as the lungs; unchanged if the scan is too coarse to show a fissure.
    """
    if sorted(image.geometry.spacing_mm)[1] > COARSEST_MM:
        return lobes
    boxes = dict(object_boxes(field.voxels.astype(np.int8)))
    if not boxes:
        return lobes
    coarse = coarse_upright(image, EDGE_MM)
    grid = _lung_grid(boxes, field.geometry, coarse.geometry)
    lungs, drawn = (resample_onto(each, grid).voxels for each in (field, lobes))
    tissue = tissue_of(resample_onto(coarse, grid, fill=OUTSIDE_HU).voxels, lungs > 0)
    labels = lobes.voxels.copy()
    for side, names in SIDES.items():
        lung = lungs == side
        parts = _parts(np.where(lung, drawn, 0).astype(np.uint8), lung, names, tissue)
        if parts is None:
            continue
        volumes = {name: Volume(part, grid) for name, part in parts.items()}
        paint_largest(labels, field, boxes[side], side, volumes)
    return lobes.with_voxels(labels, "label")


def tissue_of(hu: Voxels, lungs: Mask) -> Tissue:
    """Lung tissue on a grid of `EDGE_MM`.

    The outermost voxels of the lungs are left out: they contain parts of the chest wall, whose surface would look like
    a fissure.
    """
    inside = worn(lungs, steps=round(RIM_MM / EDGE_MM))
    sigma = AROUND_MM / EDGE_MM
    share = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    around = ndimage.gaussian_filter(np.where(inside, hu.clip(max=-400), np.float32(0)), sigma) / share.clip(min=1e-3)
    above = hu - around
    grey = np.where(inside, above.clip(DARKEST_HU, VESSEL_HU), np.float32(0))
    clear = inside & (above < VESSEL_HU)
    return Tissue(ndimage.gaussian_filter(grey, LINE_MM / EDGE_MM), clear.astype(np.float32))


def border(below: Mask, lung: Mask) -> tuple[Heights, Columns] | None:
    """The height of a border in each column, in voxels of the grid.

    Args:
        below: Voxels below the border, continued outside the lung.
        lung: The two parts together.

    Returns:
        The heights, and the columns of the lung that hold both parts; in these columns the border leaves the fewest
        voxels of the lung on the wrong side. None if the border has fewer than 20 columns.
    """
    lower, upper = below & lung, ~below & lung
    columns: Columns = np.asarray(lower.any(axis=0) & upper.any(axis=0))
    if columns.sum() < LEAST_COLUMNS:
        return None
    start = ((1, 0), (0, 0), (0, 0))
    wrong = np.cumsum(np.pad(upper, start), axis=0) - np.cumsum(np.pad(lower, start), axis=0)  # up to a constant
    least = wrong == wrong.min(axis=0)
    first, last = least.argmax(axis=0), len(least) - 1 - least[::-1].argmax(axis=0)
    counted = below.sum(axis=0)  # of equally good heights the nearest to the continued border
    heights = np.where(columns, counted.clip(first, last), counted)
    return heights.astype(np.float32) - np.float32(0.5), columns


def settled(heights: Heights, columns: Columns, tissue: Tissue) -> Heights:
    """Move a border onto the visible parts of its fissure, smooth it, and continue it beyond its rim."""
    smooth = _smoothed(heights, columns)
    tried = np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM, dtype=np.float32)
    costs = np.zeros((*heights.shape, len(tried)), np.float32)
    costs[columns] = np.float32(MOVE_HU) * tried**2 - evidence(smooth, columns, tried / np.float32(EDGE_MM), tissue)
    move = tried[matched(costs, BEND_HU * STEP_MM).argmin(axis=-1)] / np.float32(EDGE_MM)
    settled_heights = smooth + _spread(_mean_of(move, columns, SMOOTH_MOVE_MM), columns)
    far = np.asarray(ndimage.distance_transform_edt(~columns)) > BEYOND_MM / EDGE_MM
    return np.where(far, heights, settled_heights)


def evidence(heights: Heights, columns: Columns, moves: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Brightness of a line at each moved border over the tissue on both sides, in HU, bounded.

    Args:
        heights: Heights of the border, in voxels.
        columns: The columns to evaluate.
        moves: Moves in voxels.
        tissue: The lung tissue.

    Returns:
        float32 (columns, moves).
    """
    slope_y, slope_x = np.gradient(heights)
    normal = np.stack([np.ones_like(heights), -slope_y, -slope_x])
    normal *= np.float32(BESIDE_MM / EDGE_MM) / np.sqrt((normal**2).sum(axis=0))
    y, x = np.nonzero(columns)
    z = heights[columns][:, None] + moves
    line = np.stack([z, *(np.broadcast_to(each[:, None].astype(np.float32), z.shape) for each in (y, x))])
    aside = normal[:, columns][:, :, None]
    middle, above, under = (
        ndimage.map_coordinates(tissue.grey, at, order=1) for at in (line, line + aside, line - aside)
    )
    clear = ndimage.map_coordinates(tissue.clear, line, order=1)
    return (middle - (above + under) / 2).clip(-BOUND_HU, BOUND_HU) * clear


def matched(costs: Float32[np.ndarray, "y x moves"], penalty: float) -> Float32[np.ndarray, "y x moves"]:
    """Semi-global matching: the mean of the least costs of paths that reach a column from eight directions.

    Args:
        costs: Cost of each move of each column.
        penalty: Cost of a difference of one move between neighbours; it is larger between diagonal neighbours, by their
            distance.
    """
    turned = costs.swapaxes(0, 1)
    total = _along(costs, penalty) + _along(costs[::-1], penalty)[::-1]
    total += (_along(turned, penalty) + _along(turned[::-1], penalty)[::-1]).swapaxes(0, 1)
    for y in (1, -1):
        for x in (1, -1):
            total += _along(costs[::y, ::x], penalty * np.sqrt(2), shift=1)[::y, ::x]
    return total / 8


def _along(costs: np.ndarray, penalty: float, shift: int = 0) -> np.ndarray:
    """Least costs of the paths along the first axis, shifted by `shift` columns per row."""
    ramp = np.float32(penalty) * np.arange(costs.shape[-1], dtype=np.float32)
    least = costs.copy()
    for row in range(1, len(costs)):
        before = least[row - 1]
        # the cheapest way to each move, min over j of before[j] + penalty |i - j|, from below and from above
        up = np.minimum.accumulate(before - ramp, axis=-1) + ramp
        down = np.minimum.accumulate((before + ramp)[..., ::-1], axis=-1)[..., ::-1] - ramp
        way = np.minimum(up, down) - before.min(axis=-1, keepdims=True)
        least[row, shift:] += way[: len(way) - shift]
    return least


def _parts(drawn: np.ndarray, lung: Mask, names: tuple[int, ...], tissue: Tissue) -> dict[int, Voxels] | None:
    """One map per lobe of a lung, largest inside the lobe's borders; None if the borders cannot be found."""
    if not all((drawn == name).any() for name in names):
        return None
    upper, lowest = names[:-1], names[-1]
    oblique = border(_nearest(drawn) == lowest, lung)
    if oblique is None:
        return None
    z = np.arange(lung.shape[0], dtype=np.float32)[:, None, None]
    over = z - settled(*oblique, tissue)
    if len(upper) == 1:
        return {upper[0]: over, lowest: -over}
    top, middle = upper
    horizontal = border(_nearest(np.where(drawn == lowest, 0, drawn)) == middle, lung & (over > 0))
    if horizontal is None:
        return None
    higher = z - settled(*horizontal, tissue)
    return {top: np.minimum(over, higher), middle: np.minimum(over, -higher), lowest: -over}


def _lung_grid(boxes: dict[int, Box], scan: Geometry, coarse: Geometry) -> Geometry:
    """The upright grid of `EDGE_MM` that contains the lungs."""
    ends = [np.array([(box.start[a], box.stop[a] - 1) for box in boxes.values()]) for a in range(3)]
    corners = np.array(list(product(*((each.min(), each.max()) for each in ends), (1,))))
    placed = (corners @ scan.index_map(coarse).T)[:, :3]
    z0, y0, x0 = (int(i) for i in np.floor(placed.min(axis=0)))
    z1, y1, x1 = (int(i) + 1 for i in np.ceil(placed.max(axis=0)))
    return coarse.cropped(Box((z0, y0, x0), (z1, y1, x1)).grown((1, 1, 1))).with_spacing((EDGE_MM, EDGE_MM, EDGE_MM))


def _nearest(labels: Integer[np.ndarray, "z y x"]) -> Integer[np.ndarray, "z y x"]:
    """Every voxel without a label takes the nearest one."""
    places = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return labels[tuple(np.asarray(places))]


def _smoothed(heights: Heights, columns: Columns) -> Heights:
    """Smooth the heights within the columns and continue the mean slope beyond them."""
    at = np.indices(heights.shape, dtype=np.float32)
    terms = np.stack([np.ones_like(heights), *at], axis=-1)
    slope, *_ = np.linalg.lstsq(terms[columns].astype(np.float64), heights[columns].astype(np.float64), rcond=None)
    plane = (terms @ slope).astype(np.float32)
    return plane + _spread(_mean_of(heights - plane, columns, SMOOTH_MM), columns)


def _mean_of(values: Heights, columns: Columns, sigma_mm: float) -> Heights:
    """Gaussian mean of the values of the columns."""
    sigma = sigma_mm / EDGE_MM
    weight = ndimage.gaussian_filter(columns.astype(np.float32), sigma)
    mean: Float[np.ndarray, "y x"] = ndimage.gaussian_filter(np.where(columns, values, np.float32(0)), sigma)
    return mean / weight.clip(min=1e-6)


def _spread(values: Heights, columns: Columns) -> Heights:
    """Give voxels beyond the columns the value of the nearest column."""
    places = ndimage.distance_transform_edt(~columns, return_distances=False, return_indices=True)
    return values[tuple(np.asarray(places))]
