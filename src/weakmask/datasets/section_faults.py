"""Random faults of the acquisition of stacks: grey values, missing, misaligned, blurred and noisy parts of sections.

Each function takes grey values in [0, 1], the labels where it moves or removes them, and a random generator, and
returns new arrays. The ranges are those of the authors' code of Li et al. 2021 (arXiv 2104.07961).
"""

import math

import numpy as np
from jaxtyping import Float32, Integer
from scipy import ndimage

from weakmask.datasets.section_moves import looked_up, plane_map, rotated

Image = Float32[np.ndarray, "z y x"]
Labels = Integer[np.ndarray, "z y x"]
CUBOID = 0.4  # of each side, of a cuboid that is blurred or noisy


def grey_changed(
    image: Image,
    rng: np.random.Generator,
    strength: float = 1.0,
    contrast: float = 0.15,
    brightness: float = 0.15,
    octaves: float = 1.0,
) -> Image:
    """Change contrast, brightness and gamma; half the time section by section.

    Args:
        image: Grey values.
        rng: Source of the draws.
        strength: Factor of the three largest changes.
        contrast: Largest relative change of contrast.
        brightness: Largest change of brightness.
        octaves: The gamma lies between 2 to the power of minus this and 2 to the power of this.
    """
    count = len(image) if rng.random() < 0.5 else 1
    draws = (strength * rng.uniform(-1.0, 1.0, (3, count, 1, 1))).astype(np.float32)
    gain, shift = 1 + np.float32(contrast) * draws[0], np.float32(brightness) * draws[1]
    changed = np.clip(gain * image + shift, 0, 1)
    return changed ** (np.float32(2) ** (np.float32(octaves) * draws[2]))


def missing_part(image: Image, rng: np.random.Generator, width: float = 80.0, share: float = 0.9) -> Image:
    """Replace a band along a random chord by the section's mean, in at most one of three neighbouring sections.

    Args:
        image: Grey values.
        rng: Source of the draws.
        width: Of the band, in pixels.
        share: Probability that a section that may have a band has one.
    """
    found, last = image.copy(), -3
    _, rows, columns = image.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    first = int(rng.integers(3))
    for z in range(first, len(image)):
        if z - last < 3 or rng.random() >= share:
            continue
        last = z
        a, b = rng.random(2), rng.random(2)
        across = np.array([b[1] - a[1], a[0] - b[0]]) * (rows, columns)
        normal = across / max(float(np.hypot(*across)), 1e-6)
        distance = np.abs((y - a[0] * rows) * normal[0] + (x - a[1] * columns) * normal[1])
        found[z][distance < width / 2] = image[z].mean()
    return found


def missing_sections(
    image: Image, labels: Labels, rng: np.random.Generator, count: int = 2
) -> tuple[Float32[np.ndarray, "fewer y x"], Integer[np.ndarray, "fewer y x"]]:
    """Remove sections at random, image and labels."""
    gone = rng.choice(np.arange(1, len(image) - 1), size=min(count, len(image) - 2), replace=False)
    return np.delete(image, gone, axis=0), np.delete(labels, gone, axis=0)


def misaligned(image: Image, labels: Labels, rng: np.random.Generator, pixels: int = 16) -> tuple[Image, Labels]:
    """Move one section, or all from one on, by a shift or a small rotation; from beyond the border comes its mirror.

    Args:
        image: Grey values.
        labels: Labels, which move, too.
        rng: Source of the draws.
        pixels: Largest shift; a rotation moves no pixel farther than the middle of a side by this.
    """
    at = int(rng.integers(1, max(2, len(image) - 1)))
    sections = slice(at, at + 1) if rng.random() < 0.5 else slice(at, None)
    offsets = plane_map((image.shape[1], image.shape[2]))
    if rng.random() < 0.5:
        shift = rng.integers(-pixels, pixels + 1, 2).astype(np.float32)
        offsets = offsets + shift[:, None, None]
    else:
        largest = math.asin(min(1.0, 2 * pixels / min(image.shape[1:])))
        offsets = rotated(offsets, rng.uniform(-largest, largest))
    image, labels = image.copy(), labels.copy()
    image[sections], labels[sections] = looked_up(image[sections], offsets), looked_up(labels[sections], offsets)
    return image, labels


def motion_blurred(image: Image, rng: np.random.Generator, sections: int = 2, pixels: int = 11) -> Image:
    """Blur some sections along y or x by the mean of a line of pixels."""
    found = image.copy()
    axis = int(rng.integers(2))
    for z in rng.choice(len(image), size=min(sections, len(image)), replace=False):
        found[z] = ndimage.uniform_filter1d(image[z], pixels, axis=axis, mode="reflect")
    return found


def cut_blurred(image: Image, rng: np.random.Generator, factors: tuple[int, int] = (2, 8)) -> Image:
    """Lower the resolution of the sections of a random cuboid by a whole factor."""
    box, found = _cuboid(image.shape, rng), image.copy()
    part = image[box]
    factor = int(rng.integers(factors[0], factors[1] + 1))
    # of each block of pixels the value is the mean around its middle pixel
    middles = [np.minimum(np.arange(n) // factor * factor + factor // 2, n - 1) for n in part.shape[1:]]
    rows = ndimage.uniform_filter1d(part, factor, axis=1, mode="nearest")
    smooth = ndimage.uniform_filter1d(rows, factor, axis=2, mode="nearest")
    found[box] = smooth[:, middles[0][:, None], middles[1]]
    return found


def cut_noisy(image: Image, rng: np.random.Generator, amount: float = 0.3) -> Image:
    """Add uniform noise of up to +- `amount` to a random cuboid, within [0, 1]."""
    box, found = _cuboid(image.shape, rng), image.copy()
    part = image[box]
    found[box] = np.clip(part + rng.uniform(-amount, amount, part.shape).astype(np.float32), 0, 1)
    return found


def _cuboid(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, slice, slice]:
    """A cuboid with `CUBOID` of each side, at a random place."""
    sides = [max(1, round(CUBOID * n)) for n in shape]
    starts = [int(rng.integers(n - side + 1)) for n, side in zip(shape, sides, strict=True)]
    z, y, x = (slice(start, start + side) for start, side in zip(starts, sides, strict=True))
    return z, y, x
