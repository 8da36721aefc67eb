"""Trees of airways, arteries and veins that fill each lobe and taper toward the pleura.

A tree grows by halving the cloud of points that it supplies, as in Tawhai et al. 2000 (Ann Biomed Eng 28:793-802): a
branch runs part of the way from its parent toward the middle of its cloud, the cloud is divided across its longest
axis, and this repeats until one point is left. Radii follow Murray's law in the number of points supplied. All clouds
of one generation, in all lobes, are processed together.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from weakmask.phantoms.chest_anatomy import HILUM_MM, LEFT, LLL, LUL, RIGHT, Patient, lungs
from weakmask.phantoms.noise import Grid, centred_geometry, stream

REACH = 0.42  # share of the way to the cloud's middle that a branch runs
COARSE_MM = 5.0  # spacing of the lobes that the trees grow in, for any spacing of the scan


@dataclass(frozen=True)
class Tree:
    """Tubes: world points (z, y, x) in mm of both ends, radii in mm at both ends."""

    start: Float[np.ndarray, "n 3"]
    stop: Float[np.ndarray, "n 3"]
    radius: Float[np.ndarray, "n 2"]

    def joined(self, other: "Tree") -> "Tree":
        """Both trees as one."""
        pairs = ((self.start, other.start), (self.stop, other.stop), (self.radius, other.radius))
        start, stop, radius = (np.concatenate(pair) for pair in pairs)
        return Tree(start, stop, radius)

    def thicker_than(self, radius_mm: float) -> "Tree":
        """The tubes whose starting radius is at least `radius_mm`."""
        keep = self.radius[:, 0] >= radius_mm
        return Tree(self.start[keep], self.stop[keep], self.radius[keep])


@dataclass(frozen=True)
class Trees:
    """The vessels and airways of one patient; airway radii are of the lumen."""

    arteries: Tree
    veins: Tree
    airways: Tree


def grow_trees(patient: Patient, points_per_litre: float = 700.0) -> Trees:
    """Grow all three trees of a patient."""
    geometry = centred_geometry((72, 48, 68), (COARSE_MM, COARSE_MM, COARSE_MM))
    grid = Grid.of(geometry)
    chest = lungs(patient, grid)
    inside = np.argwhere((chest.lobes > 0) & (chest.depth_mm > 3.0))
    lobe = chest.lobes[tuple(inside.T)]
    rng = stream(patient.seed, "trees")
    world = inside * COARSE_MM + np.array(geometry.origin_mm)
    order = rng.permutation(len(world))  # arteries and veins use different points, both of even density
    count = int(points_per_litre * len(world) * COARSE_MM**3 / 1e6)
    root = _lobe_roots(world, lobe, patient)
    trees = []
    for name, take, shift in (("arteries", order[:count], 0.0), ("veins", order[count : 2 * count], -7.0)):
        points = world[take] + rng.uniform(-0.5, 0.5, (len(take), 3)) * COARSE_MM
        thickest = 4.4 if name == "arteries" else 4.2
        roots = {label: point + np.array([shift, shift * 0.6, 0.0]) for label, point in root.items()}
        trees.append(_grow(points, lobe[take], roots, thickest, rng))
    arteries, veins = trees
    airways = _airways(patient, arteries, root)
    return Trees(_trunks(patient, root, 6.0).joined(arteries), _trunks(patient, root, 5.0, -7.0).joined(veins), airways)


def _lobe_roots(world: np.ndarray, lobe: np.ndarray, patient: Patient) -> dict[int, np.ndarray]:
    """Root of each lobe's tree, a short way from the hilum toward the lobe."""
    roots = {}
    for label in (int(value) for value in np.unique(lobe)):
        hilum = np.array(HILUM_MM[LEFT if label in {LUL, LLL} else RIGHT]) * patient.size
        toward = world[lobe == label].mean(axis=0) - hilum
        roots[label] = hilum + 0.22 * toward
    return roots


def _grow(
    points: np.ndarray, lobe: np.ndarray, roots: dict[int, np.ndarray], thickest_mm: float, rng: np.random.Generator
) -> Tree:
    """Grow one tree per lobe, generation by generation, all clouds at once."""
    labels = sorted(roots)
    cloud = np.searchsorted(labels, lobe)
    node = np.array([roots[label] for label in labels])
    parent_radius = np.full(len(labels), np.nan)
    most = max(np.bincount(cloud))
    tubes: list[tuple[np.ndarray, ...]] = []
    while len(points):
        count = np.bincount(cloud, minlength=len(node)).astype(float)
        middle, axis = _middles(points, cloud, count)
        reach = np.where(count > 1, REACH, 0.85)[:, None]
        step = (middle - node) * reach
        step += rng.normal(0, 0.10, step.shape) * np.linalg.norm(step, axis=1, keepdims=True)
        tip = node + step
        radius = thickest_mm * (count / most) ** 0.28  # Murray has 1/3; real outer vessels are a little wider
        first = np.where(np.isnan(parent_radius), radius, np.minimum(parent_radius, 1.12 * radius))
        tubes.append((node, tip, np.stack([first, radius], axis=1)))
        go_on = count > 1
        side = ((points - middle[cloud]) * axis[cloud]).sum(axis=1) > 0
        keep = go_on[cloud]
        points, child = points[keep], (2 * cloud + side)[keep]
        used, cloud = np.unique(child, return_inverse=True)
        node, parent_radius = tip[used // 2], radius[used // 2]
    start, stop, radii = (np.concatenate(part) for part in zip(*tubes, strict=True))
    return _bent(Tree(start, stop, radii), rng)


def _middles(
    points: Float[np.ndarray, "n 3"], cloud: Integer[np.ndarray, " n"], count: Float[np.ndarray, " c"]
) -> tuple[np.ndarray, np.ndarray]:
    """Middle and longest axis of every cloud."""

    def summed(values: np.ndarray) -> np.ndarray:
        """The sum of a value over the points of each cloud."""
        return np.bincount(cloud, weights=values, minlength=len(count))

    middle = np.stack([summed(points[:, k]) for k in range(3)], axis=1) / count[:, None]
    away = points - middle[cloud]
    spread = np.empty((len(count), 3, 3))
    for i in range(3):
        for j in range(i, 3):
            spread[:, i, j] = spread[:, j, i] = summed(away[:, i] * away[:, j])
    _, axes = np.linalg.eigh(spread)
    longest = axes[:, :, 2]
    # eigenvectors come with an arbitrary sign; fix it, so that every machine grows the same tree
    lead = np.take_along_axis(longest, np.abs(longest).argmax(axis=1)[:, None], axis=1)
    return middle, longest * np.sign(lead)


def _bent(tree: Tree, rng: np.random.Generator) -> Tree:
    """Replace every tube by two, bent at the middle, because vessels are not straight."""
    length = np.linalg.norm(tree.stop - tree.start, axis=1, keepdims=True)
    middle = 0.5 * (tree.start + tree.stop) + rng.normal(0, 0.07, tree.start.shape) * length
    half = tree.radius.mean(axis=1)
    first = Tree(tree.start, middle, np.stack([tree.radius[:, 0], half], axis=1))
    return first.joined(Tree(middle, tree.stop, np.stack([half, tree.radius[:, 1]], axis=1)))


def _airways(patient: Patient, arteries: Tree, roots: dict[int, np.ndarray]) -> Tree:
    """Trachea, main and lobar bronchi, and one bronchus beside each artery that is thick enough to be visible."""
    s = patient.size
    top, carina = np.array([175.0, -2.0, 0.0]) * s, np.array([34.0, 14.0, 2.0]) * s
    right, left = (np.array(HILUM_MM[side]) * s + np.array([2.0, 2.0, 0.0]) for side in (RIGHT, LEFT))
    tubes = [(top, carina, 8.2, 8.0), (carina, right, 6.6, 6.0), (carina, left, 6.0, 5.4)]
    tubes += [(left if label in {LUL, LLL} else right, root + _beside(3.6), 4.6, 3.4) for label, root in roots.items()]
    start, stop = (np.array([tube[k] for tube in tubes]) for k in (0, 1))
    trunk = Tree(start, stop, np.array([tube[2:] for tube in tubes]) * s)
    seen = arteries.thicker_than(1.35)
    lumen = 0.74 * seen.radius
    away = [_beside(seen.radius[:, k] + lumen[:, k] + 0.7) for k in (0, 1)]
    return trunk.joined(Tree(seen.start + away[0], seen.stop + away[1], lumen))


def _beside(distance: np.ndarray | float) -> np.ndarray:
    """Shift from an artery to its bronchus."""
    return np.asarray(distance)[..., None] * np.array([0.62, 0.62, 0.48])


def _trunks(patient: Patient, roots: dict[int, np.ndarray], thick_mm: float, shift_mm: float = 0.0) -> Tree:
    """The thick vessels from the mediastinum through the hila to the lobes."""
    move = np.array([shift_mm, 0.6 * shift_mm, 0.0])
    tubes = []
    for label, root in roots.items():
        hilum = np.array(HILUM_MM[LEFT if label in {LUL, LLL} else RIGHT]) * patient.size + move
        inner = hilum * np.array([1.0, 1.0, 0.35]) + np.array([0.0, -14.0, 0.0])
        tubes += [
            (inner, hilum, 1.6 * thick_mm, 1.25 * thick_mm),
            (hilum, root + move, 1.25 * thick_mm, 0.75 * thick_mm),
        ]
    start, stop = (np.array([tube[k] for tube in tubes]) for k in (0, 1))
    return Tree(start, stop, np.array([tube[2:] for tube in tubes]) * patient.size)
