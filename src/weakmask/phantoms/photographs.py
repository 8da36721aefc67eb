"""Photograph-like phantoms: objects of three classes among other things on a textured background, in colour.

A ball is round, shaded and striped, mostly red; a leaf is pointed and veined, mostly green; a star has five arms and
dots, mostly blue. Plain shapes of any colour, which belong to no class, lie among them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import gaussian_filter, zoom

from weakmask.phantoms.noise import stream

CLASSES = ("ball", "leaf", "star")
HUES = (0.02, 0.30, 0.64)  # of the classes, on average
EMPTY = 0.15  # share of the pictures without any object
MOST_OBJECTS, MOST_THINGS = 4, 7
HIDDEN = 0.3  # largest share of an object that another may cover
PLACES = 20  # tried for an object before it is left out
SMOOTH_PX = 0.6  # blur of the camera

Field = Float[np.ndarray, "y x"]
Shape = Bool[np.ndarray, "y x"]


@dataclass(frozen=True)
class Photograph:
    """A picture in colour, and the class of each pixel: 0 none, then as in CLASSES."""

    image: UInt8[np.ndarray, "y x 3"]
    truth: UInt8[np.ndarray, "y x"]


@dataclass(frozen=True)
class Placed:
    """The plane around an object: u along it, v across it; its edge is near a distance of 1."""

    u: Field
    v: Field


def make_photograph(seed: int, side_px: int = 192) -> Photograph:
    """Make a picture; the same arguments give the same bytes.

    Args:
        seed: Seed of everything in it.
        side_px: Pixels of a side.
    """
    rng = stream(seed, "photograph")
    image, truth = _background(rng, side_px), np.zeros((side_px, side_px), np.uint8)
    for _ in range(int(rng.integers(2, MOST_THINGS + 1))):
        _paint_thing(rng, image)
    for kind in _kinds(rng):
        _paint_object(rng, image, truth, kind)
    light = 1 + 0.25 * _noise(rng, side_px, 2)
    image = gaussian_filter(image * light[..., None], (SMOOTH_PX, SMOOTH_PX, 0))
    image += rng.uniform(0.01, 0.04) * rng.standard_normal(image.shape)
    return Photograph(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8), truth)


def _kinds(rng: np.random.Generator) -> list[int]:
    """The classes of the objects, as places in CLASSES; often several objects of one or two classes."""
    if rng.random() < EMPTY:
        return []
    among = rng.permutation(len(CLASSES))[: rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15])]
    return [int(kind) for kind in (*among, *rng.choice(among, rng.integers(0, MOST_OBJECTS - len(among) + 1)))]


def _background(rng: np.random.Generator, side: int) -> Float[np.ndarray, "y x 3"]:
    """Two colours mixed by noise of several sizes, with a grain in one direction."""
    mix = sum(_noise(rng, side, knots) / knots**0.5 for knots in (3, 6, 14, 40))
    grain = _noise(rng, side, 60)
    along = np.sin(_plane(rng, side, rng.uniform(0.2, 0.5), np.full(2, side / 2)).u * rng.uniform(10, 60))
    mix = mix + rng.uniform(0, 0.3) * along + rng.uniform(0.05, 0.3) * grain
    colours = [_colour(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.25, 0.85)) for _ in range(2)]
    share = 1 / (1 + np.exp(-2.5 * np.asarray(mix)))
    return colours[0] * share[..., None] + colours[1] * (1 - share[..., None])


def _paint_thing(rng: np.random.Generator, image: np.ndarray) -> None:
    """Paint a plain shape of any colour: a box, an ellipse or a bar."""
    side = len(image)
    at = _plane(rng, side, rng.uniform(0.06, 0.2), rng.uniform(0, side, 2))
    stretch = rng.uniform(0.15, 1.0)
    box = np.maximum(np.abs(at.u), np.abs(at.v) / stretch) < 1
    shape = box if rng.random() < 0.6 else at.u**2 + (at.v / stretch) ** 2 < 1
    colour = _colour(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.9))
    image[shape] = (colour * (1 + 0.15 * _noise(rng, side, 30)[..., None]))[shape]


def _paint_object(rng: np.random.Generator, image: np.ndarray, truth: np.ndarray, kind: int) -> None:
    """Paint an object and its class where it hides little of the others; else leave it out."""
    side = len(image)
    for _ in range(PLACES):
        radius = rng.uniform(0.10, 0.24)
        at = _plane(rng, side, radius, rng.uniform(0.12, 0.88, 2) * side)
        shape = SHAPES[kind](at)
        if np.count_nonzero(truth[shape]) <= HIDDEN * min(np.count_nonzero(shape), _smallest(truth)):
            break
    else:
        return
    hue = HUES[kind] + rng.normal(0, 0.05)
    pattern = TEXTURES[kind](at, rng, _noise(rng, side, 30))
    saturation, value = rng.uniform(0.45, 0.95), rng.uniform(0.5, 0.95)
    first, second = _colour(hue, saturation, value), _colour(hue + rng.normal(0, 0.04), 0.5 * saturation, 1.2 * value)
    painted = first + (second - first) * np.clip(pattern, 0, 1)[..., None]
    round_light = 1 - 0.35 * np.clip(np.hypot(at.u - 0.4, at.v + 0.3), 0, 1.5) ** 2
    image[shape] = (painted * round_light[..., None])[shape]
    truth[shape] = kind + 1


def _smallest(truth: np.ndarray) -> float:
    """Pixels of the class with the fewest, of those that are in the picture."""
    counts = np.bincount(truth.ravel(), minlength=len(CLASSES) + 1)[1:]
    return float(counts[counts > 0].min()) if counts.any() else np.inf


def _ball(at: Placed) -> Shape:
    return at.u**2 + at.v**2 < 1


def _leaf(at: Placed) -> Shape:
    return np.abs(at.v) < 0.5 * (1 - (at.u / 1.3) ** 2)


def _star(at: Placed) -> Shape:
    return np.hypot(at.u, at.v) < 0.75 + 0.35 * np.cos(5 * np.arctan2(at.v, at.u))


def _stripes(at: Placed, rng: np.random.Generator, noise: Field) -> Field:
    return 0.5 + 0.6 * np.sin(rng.uniform(8, 16) * at.v + 0.5 * noise)


def _veins(at: Placed, rng: np.random.Generator, noise: Field) -> Field:
    side_veins = np.abs(np.sin(rng.uniform(7, 11) * (at.u - np.abs(at.v)) + 0.2 * noise)) < 0.25
    return np.where((np.abs(at.v) < 0.05) | side_veins, 1.0, 0.25 + 0.15 * noise)


def _dots(at: Placed, rng: np.random.Generator, noise: Field) -> Field:
    wide = rng.uniform(9, 14)
    return np.where(np.sin(wide * at.u) * np.sin(wide * at.v) > 0.45, 1.0, 0.1 + 0.1 * noise)


SHAPES: tuple[Callable[[Placed], Shape], ...] = (_ball, _leaf, _star)
TEXTURES: tuple[Callable[[Placed, np.random.Generator, Field], Field], ...] = (_stripes, _veins, _dots)


def _plane(rng: np.random.Generator, side: int, radius: float, centre: np.ndarray) -> Placed:
    """The plane around a centre (y, x) in pixels, turned at random; `radius` is a share of the side."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = ((np.arange(side) - middle) / (radius * side) for middle in centre)
    y, x = y[:, None], x[None, :]
    return Placed(np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x)


def _noise(rng: np.random.Generator, side: int, knots: int) -> Field:
    """Smooth noise of standard deviation 1 with about this many hills along a side."""
    coarse = rng.standard_normal((knots + 1, knots + 1))
    order = 1 if knots > 20 else 3  # splines where the hills are wide
    fine = np.asarray(zoom(coarse, side / (knots + 1), order=order, grid_mode=True, mode="nearest"))
    return fine / max(float(fine.std()), 1e-6)


def _colour(hue: float, saturation: float, value: float) -> Float[np.ndarray, " 3"]:
    """Red, green and blue of a hue in turns, a saturation and a value."""
    ramp = np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
    return min(value, 1.0) * (1 - saturation * (1 - np.clip(ramp, 0, 1)))
