"""Chest X-ray phantoms: the chest of the CT phantoms projected from front to back, some with a pneumothorax."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from scipy.ndimage import gaussian_filter, zoom

from weakmask.phantoms.chest_anatomy import Patient, draw_patient, lung_box, lungs
from weakmask.phantoms.confounders import add_confounders
from weakmask.phantoms.noise import Grid, centred_geometry, coverage
from weakmask.phantoms.pneumothorax import Pneumothorax, draw_pneumothorax
from weakmask.phantoms.radiograph import draw_view, radiograph
from weakmask.phantoms.tissue import AIR, BONE, blend, lung_tissue, paint_body
from weakmask.phantoms.tubes import draw_capsules
from weakmask.phantoms.vessel_trees import Tree, grow_trees
from weakmask.volume.geometry import Box, Float3, Index3
from weakmask.volume.morphology import components

SHAPE: Index3 = (144, 48, 152)
SPACING_MM: Float3 = (2.5, 6.0, 2.5)
FINE = 2  # pixels of the projection per voxel, in height and in width
LEAST_MM = 4.0  # of air that a ray meets in a pneumothorax
VESSEL = 0.9  # how much denser blood is than lung, relative to water
RIB, SPINE, SPINE_MM = 0.9, -0.5, 38.0  # contrast of bone against a CT's, beside the spine and in it
PLEURA_MM = 30.0  # of tissue that a ray along the edge of the lung meets
LARGE_MM = 2.5  # airways of this radius are drawn
CLAVICLE_MM = ((104.0, -78.0, 14.0), (117.0, -62.0, 70.0), (126.0, -10.0, 140.0))  # (z, y, x), bent in the middle

Plane = Float32[np.ndarray, "row column"]


@dataclass(frozen=True)
class Xray:
    """A chest X-ray and its truth as a viewer shows them: the patient's left on the right.

    Attributes:
        image: Grey values; bright is dense.
        truth: 1 where there is a pneumothorax.
    """

    image: UInt8[np.ndarray, "y x"] | UInt16[np.ndarray, "y x"]
    truth: UInt8[np.ndarray, "y x"]


def make_xray(seed: int, side_px: int = 256, *, pneumothorax: bool, size: float = 1.0, bits: int = 8) -> Xray:
    """Make a chest X-ray phantom; the same arguments give the same bytes.

    A ray is in the pneumothorax if more than half of its way through the pleural cavity is air.

    Args:
        seed: Seed of the patient, the pneumothorax and the exposure.
        side_px: Pixels of a side; the field of view stays the same.
        pneumothorax: Whether there is one.
        size: Factor on how far the lung retracts; with 1, the areas are a median 1.4 % (SIIM-ACR: 0.8 %).
        bits: 8 or 16, of a grey value.
    """
    patient, grid = draw_patient(seed), Grid.of(centred_geometry(SHAPE, SPACING_MM))
    planted = draw_pneumothorax(patient, seed, size) if pneumothorax else None
    water, cavity, lung = _projected(patient, grid, planted)
    side_of = np.broadcast_to(np.sign(np.linspace(-1, 1, water.shape[1], dtype=np.float32)), water.shape)
    view = draw_view(seed, side_px, SPACING_MM[0] / FINE)
    seen = {name: view.of(plane) for name, plane in (("cavity", cavity), ("lung", lung), ("side", side_of))}
    inside, air = seen["cavity"] > LEAST_MM, seen["cavity"] - seen["lung"]
    truth = np.zeros(inside.shape, bool)
    if planted is not None:
        truth = _largest(inside & (air > np.maximum(LEAST_MM, seen["lung"])) & (seen["side"] * planted.side > 0))
    return Xray(radiograph(view.of(water), seed, bits), truth.astype(np.uint8))


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest of the separate parts of a mask."""
    parts, count = components(mask[None])
    return parts[0] == np.bincount(parts.ravel())[1:].argmax() + 1 if count else mask


def _projected(patient: Patient, grid: Grid, planted: Pneumothorax | None) -> tuple[Plane, Plane, Plane]:
    """Tissue in mm of water, pleural cavity and lung in mm along each ray; the head is at the top."""
    box = lung_box(patient, grid)
    part = grid.cropped(box)
    chest = lungs(patient, part)
    body = paint_body(patient, grid, box, chest)
    cavity = coverage(chest.depth_mm, float(np.cbrt(np.prod(grid.spacing_mm))))
    tissue = lung_tissue(patient, part, chest)
    add_confounders(patient, part, chest, tissue)
    lung = cavity
    if planted is not None:
        lung = np.minimum(planted.retracted(part, cavity), cavity)
        tissue = (planted.retracted(part, tissue) - AIR) * np.float32(planted.density) + np.float32(AIR)
        blend(tissue, AIR, 1 - lung / np.maximum(cavity, np.float32(1e-3)))
    blend(body[box.slices], tissue, cavity)
    trees = grow_trees(patient)
    _draw_clavicles(patient, grid, body)
    large = trees.airways.thicker_than(LARGE_MM)
    blend(body, AIR, draw_capsules(grid, large.start, large.stop, large.radius))
    vessels = trees.arteries.joined(trees.veins)
    body += np.where(np.abs(grid.x) < SPINE_MM, SPINE, RIB).astype(np.float32) * np.maximum(body - 130, 0)
    water = _plane(body * np.float32(0.001) + 1, grid, None) * _shoulders(patient, grid)
    water += _vessels(vessels, part, lung, planted, grid)
    planes = _plane(cavity, grid, box), _plane(lung, grid, box)
    if planted is not None:
        water += PLEURA_MM * _pleural_line(*planes)
    return water, *planes


def _plane(values: Float[np.ndarray, "z y x"], grid: Grid, box: Box | None) -> Plane:
    """The sum along each ray in mm, on the fine pixels of the projection."""
    summed = values.sum(axis=1, dtype=np.float32) * np.float32(grid.spacing_mm[1])
    if box is not None:
        whole = np.zeros((grid.shape[0], grid.shape[2]), np.float32)
        whole[box.slices[0], box.slices[2]] = summed
        summed = whole
    return _finer(summed)


def _finer(plane: Float[np.ndarray, "z x"]) -> Plane:
    """A plane of voxels on the fine pixels of the projection, the head at the top."""
    return np.asarray(zoom(plane, FINE, order=1, grid_mode=True, mode="nearest"), np.float32)[::-1]


def _draw_clavicles(patient: Patient, grid: Grid, body: np.ndarray) -> None:
    """Paint both clavicles into the body."""
    points = np.array(CLAVICLE_MM) * patient.size
    points = np.concatenate([points, points * np.array([1.0, 1.0, -1.0])])
    start, stop = points[[0, 1, 3, 4]], points[[1, 2, 4, 5]]
    for radius, value in ((6.0, BONE), (3.5, 200.0)):
        blend(body, value, draw_capsules(grid, start, stop, np.full((4, 2), radius * patient.size)))


def _vessels(vessels: Tree, part: Grid, lung: np.ndarray, planted: Pneumothorax | None, grid: Grid) -> Plane:
    """The blood in the lungs that each ray meets beyond the lungs' own tissue, as mm of water.

    Every tube is cut into points that carry its volume, which is spread around each as wide as the tube is.
    """
    length = np.linalg.norm(vessels.stop - vessels.start, axis=1)
    pieces = np.maximum(1, np.ceil(length / 0.7)).astype(int)
    tube = np.repeat(np.arange(len(length)), pieces)
    along = (np.arange(len(tube)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 0.5) / pieces[tube]
    points = vessels.start[tube] + along[:, None] * (vessels.stop - vessels.start)[tube]
    radius = vessels.radius[tube, 0] * (1 - along) + vessels.radius[tube, 1] * along
    volume = np.pi * radius**2 * (length / pieces)[tube]
    if planted is not None:
        points = planted.moved(points)
    index = [
        np.clip(np.rint((points[:, k] - axis[0]) / (axis[1] - axis[0])).astype(int), 0, axis.size - 1)
        for k, axis in enumerate(part.axes)
    ]
    volume *= VESSEL * lung[tuple(index)]
    pixel = grid.spacing_mm[0] / FINE
    shape = grid.shape[0] * FINE, grid.shape[2] * FINE
    row, column = (np.rint((points[:, k] - grid.axes[k][0]) / pixel + 0.5 * (FINE - 1)).astype(int) for k in (0, 2))
    kept = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    found = np.zeros(shape, np.float32)
    bins = np.digitize(radius, (0.5, 0.8, 1.2, 1.8, 2.8, 4.0))
    for one in np.unique(bins[kept]):
        those = kept & (bins == one)
        drawn = np.bincount(row[those] * shape[1] + column[those], volume[those] / pixel**2, shape[0] * shape[1])
        found += gaussian_filter(drawn.reshape(shape).astype(np.float32), 0.5 * float(radius[those].mean()) / pixel)
    return found[::-1]


def _shoulders(patient: Patient, grid: Grid) -> Plane:
    """1 in the body, falling to 0 above the shoulders beside the neck."""
    slope = 160 * patient.size - np.float32(0.4) * (np.abs(grid.x[:, 0]) - 55 * patient.size)
    below = coverage(slope - grid.z[:, 0], 4.0)
    neck = coverage(np.abs(58 * patient.size) - np.abs(grid.x[:, 0]), 20.0)
    return _finer(np.maximum(below, neck))


def _pleural_line(cavity: Plane, lung: Plane) -> Plane:
    """1 along the edge of the lung where air lies beyond it, falling to 0 within a millimetre."""
    inside = gaussian_filter((lung > LEAST_MM).astype(np.float32), 0.5)
    return 4 * inside * (1 - inside) * (gaussian_filter(cavity - lung, 2.0) > LEAST_MM)
