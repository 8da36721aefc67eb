"""Phantoms of electron microscopy: stacks of sections of nervous tissue with the true mitochondria.

Cells with dark membranes hold mitochondria (dark rim, grey matrix, cristae across their axis, some touching) and bodies
that look alike: vesicles, dense cores, lysosomes, and cells that are dark as a whole. Then each section is shifted,
changes contrast and brightness, is blurred and gets noise. The same seed gives the same stack.
"""

from dataclasses import dataclass, field

import cc3d
import numpy as np
from jaxtyping import Float32, Int32
from scipy import ndimage
from scipy.spatial import KDTree

from weakmask.phantoms.em_bodies import Bodies, BodyStyle, Space, fill, touching_pairs
from weakmask.phantoms.em_cells import Cells, make_cells, texture, unit_grid
from weakmask.phantoms.noise import Grid, stream
from weakmask.volume.geometry import Float3, Geometry, Index3
from weakmask.volume.volume import Volume

NM_PER_MM = 1e6
MEMBRANE, RIM, LYSOSOME = 0.16, 0.24, 0.2  # grey values in [0, 1]
LEAST_NM3 = 2.5e5  # of an instance, about 130 voxels of 30 x 8 x 8 nm
RIM_NM, MEMBRANE_NM, CRISTAE_NM = 16.0, 10.0, 62.0


@dataclass(frozen=True)
class Style:
    """Content and acquisition of a phantom.

    Attributes:
        mitochondria: Sizes of mitochondria.
        share: Share of the voxels that are mitochondria.
        lookalikes: Whether there are vesicles, dense cores, lysosomes and dark cells.
        noise: Standard deviation of the noise at grey value 1, before the square root of the grey value.
        blur: Sigma of the blur within sections, in voxels.
        shift: Largest shift of a section, in voxels.
        missing: Share of sections that are black.
        bands: Share of sections with a grey band.
    """

    mitochondria: BodyStyle = field(default_factory=BodyStyle)
    share: float = 0.075
    lookalikes: bool = True
    noise: float = 0.11
    blur: float = 0.6
    shift: int = 1
    missing: float = 0.0
    bands: float = 0.0


STYLES = {
    "plain": Style(),
    "easy": Style(
        BodyStyle(radius_nm=(120.0, 230.0), length_nm=(250.0, 1600.0), neck=0.0), lookalikes=False, noise=0.05
    ),
    "noisy": Style(noise=0.32),
}


@dataclass(frozen=True)
class EMPhantom:
    """A phantom.

    Attributes:
        image: Grey values, uint8.
        instances: A number per mitochondrion; 0 outside.
        clean: The image without noise and blur, for networks that remove them.
        touching: Pairs of instances that share a face of a voxel.
    """

    image: Volume
    instances: Volume
    clean: Volume
    touching: frozenset[tuple[int, int]]


def make_em_phantom(seed: int, shape: Index3, spacing_nm: Float3, style: Style = STYLES["plain"]) -> EMPhantom:
    """Make a phantom.

    Args:
        seed: Equal seeds give equal phantoms.
        shape: Voxels along z, y, x.
        spacing_nm: Thickness of a section and size of a pixel, in nm.
        style: Content and acquisition.
    """
    grid = unit_grid(shape, spacing_nm)
    space = Space(make_cells(seed, grid), spacing_nm)
    bodies = fill(space, style.mitochondria, style.share, stream(seed, "mitochondria"))
    grey = _tissue(seed, space.cells, grid, style)
    if style.lookalikes:
        _draw_lookalikes(grey, seed, space, bodies)
    _draw_mitochondria(grey, bodies, seed, grid)
    clean, labels = _shifted(np.clip(grey, 0, 1), bodies.labels, stream(seed, "shift"), style.shift)
    least = int(np.ceil(LEAST_NM3 / np.prod(spacing_nm)))
    labels = cc3d.dust(labels, threshold=least, connectivity=6)  # what the shift has cut off
    labels = cc3d.connected_components(labels, connectivity=6).astype(np.int32)
    image = _acquired(clean, stream(seed, "acquisition"), style)
    z, y, x = (s / NM_PER_MM for s in spacing_nm)
    geometry = Geometry(shape, (z, y, x))
    return EMPhantom(
        Volume(_bytes(image), geometry),
        Volume(labels, geometry, "label"),
        Volume(_bytes(clean), geometry),
        frozenset(touching_pairs(labels)),
    )


def _bytes(image: Float32[np.ndarray, "z y x"]) -> np.ndarray:
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _tissue(seed: int, cells: Cells, grid: Grid, style: Style) -> Float32[np.ndarray, "z y x"]:
    """Cytoplasm with its texture, and membranes."""
    rng = stream(seed, "cytoplasm")
    brightness = rng.normal(0.62, 0.05, cells.count).astype(np.float32)
    if style.lookalikes:
        dark = rng.random(cells.count) < 0.1
        brightness[dark] = rng.uniform(0.3, 0.46, int(dark.sum()))
    mottled = np.where(rng.random(cells.count) < 0.5, 0.06, 0.025).astype(np.float32)
    grey = brightness[cells.number]
    grey += mottled[cells.number] * (texture(seed, "texture", grid, 45.0) + 0.6 * texture(seed, "clouds", grid, 160.0))
    width = max(MEMBRANE_NM, 0.45 * float(grid.spacing_mm[2]) * 100.0)
    membrane = np.exp(-((cells.depth_nm / np.float32(width)) ** 2))
    return grey + membrane * (np.float32(MEMBRANE) - grey)


def _draw_mitochondria(grey: Float32[np.ndarray, "z y x"], bodies: Bodies, seed: int, grid: Grid) -> None:
    """Rim, matrix and cristae of each body; changes `grey`."""
    count = len(bodies.tubes) + 1
    rng = stream(seed, "matrix")
    matrix = rng.normal(0.38, 0.05, count).astype(np.float32)
    contrast = np.where(rng.random(count) < 0.75, rng.uniform(0.05, 0.13, count), 0.0).astype(np.float32)
    period = rng.uniform(0.8, 1.3, count).astype(np.float32) * np.float32(CRISTAE_NM)
    inside = bodies.labels > 0
    number = bodies.labels[inside]
    wobble = 1.1 * texture(seed, "cristae", grid, 120.0)[inside]
    stripes = np.cos(2 * np.pi * bodies.along_nm[inside] / period[number] + wobble)
    value = matrix[number] + contrast[number] * stripes + 0.03 * texture(seed, "matrix", grid, 40.0)[inside]
    rim = np.exp(-((bodies.depth_nm[inside] / np.float32(RIM_NM)) ** 2))
    grey[inside] = value + rim * (np.float32(RIM) - value)


def _draw_lookalikes(grey: Float32[np.ndarray, "z y x"], seed: int, space: Space, bodies: Bodies) -> None:
    """Lysosomes, dense cores and clusters of vesicles outside mitochondria; changes `grey`."""
    rng = stream(seed, "lookalikes")
    size = space.size_nm
    free = bodies.labels == 0
    style = BodyStyle(radius_nm=(60.0, 170.0), length_nm=(60.0, 400.0), touching=0.0, neck=0.0)
    lysosomes = fill(space, style, 0.008, rng)
    dark = (lysosomes.labels > 0) & free
    shade = rng.uniform(LYSOSOME - 0.08, LYSOSOME + 0.14, len(lysosomes.tubes) + 1).astype(np.float32)
    grey[dark] = shade[lysosomes.labels[dark]]
    clusters = rng.random((max(1, int(np.prod(size) / 1.2e9)), 3)) * size
    vesicles = [at + rng.normal(0, rng.uniform(90, 240), (int(rng.integers(15, 90)), 3)) for at in clusters]
    cores = rng.random((max(1, int(np.prod(size) / 6e8)), 3)) * size
    for centres, radius, middle in ((np.concatenate(vesicles), 21.0, 0.62), (cores, 42.0, 0.2)):
        _draw_balls(grey, centres, radius, middle, space, free)


def _draw_balls(
    grey: np.ndarray, centres: np.ndarray, radius: float, middle: float, space: Space, free: np.ndarray
) -> None:
    """Balls with a dark rim; changes `grey`."""
    spacing, shape = np.array(space.spacing_nm), grey.shape
    reach = np.maximum(np.ceil((radius + 12.0) / spacing), 0).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), -1).reshape(-1, 3)
    near = (np.rint(centres / spacing).astype(int)[:, None] + offsets[None]).reshape(-1, 3)
    near = near[((near >= 0) & (near < shape)).all(axis=1)]
    near = np.unique(near, axis=0)
    distance, _ = KDTree(centres).query(near * spacing)
    z, y, x = near.T
    thickness = max(9.0, 0.5 * float(spacing[1]))
    amount = np.exp(-(((distance - radius) / thickness) ** 2)) * 0.75
    core = distance < radius
    value = grey[z, y, x]
    value = np.where(core, 0.5 * value + 0.5 * middle, value)
    value = value + amount * (MEMBRANE + 0.08 - value)
    usable = free[z, y, x] & (space.cells.depth_nm[z, y, x] > 8.0)
    grey[z[usable], y[usable], x[usable]] = value[usable]


def _shifted(
    image: Float32[np.ndarray, "z y x"], labels: Int32[np.ndarray, "z y x"], rng: np.random.Generator, most: int
) -> tuple[Float32[np.ndarray, "z y x"], Int32[np.ndarray, "z y x"]]:
    """Each section shifted by up to `most` whole voxels; its border is repeated."""
    image, labels = image.copy(), labels.copy()
    _, rows, columns = image.shape
    for z, (dy, dx) in enumerate(rng.integers(-most, most + 1, (len(image), 2))):
        place = np.ix_(np.clip(np.arange(rows) + dy, 0, rows - 1), np.clip(np.arange(columns) + dx, 0, columns - 1))
        image[z], labels[z] = image[z][place], labels[z][place]
    return image, labels


def _acquired(
    clean: Float32[np.ndarray, "z y x"], rng: np.random.Generator, style: Style
) -> Float32[np.ndarray, "z y x"]:
    """Contrast, brightness, blur, noise and faults, section by section."""
    image = np.empty_like(clean)
    columns = clean.shape[2]
    for z, section in enumerate(clean):
        seen = (section - 0.5) * rng.uniform(0.93, 1.07) + 0.5 + rng.uniform(-0.04, 0.04)
        seen = ndimage.gaussian_filter(seen, style.blur)
        seen += style.noise * np.sqrt(np.clip(seen, 0.05, 1)) * rng.standard_normal(seen.shape, np.float32)
        if rng.random() < style.bands:
            start = int(rng.integers(columns))
            seen[:, start : start + max(2, columns // 6)] = seen.mean()
        image[z] = 0 if rng.random() < style.missing else seen
    return image
