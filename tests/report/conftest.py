"""A small chest whose every side can be told from the others, and pages made of it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from weakmask.report.page import ScanView
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

SHAPE, SPACING_MM, ORIGIN_MM = (30, 36, 48), (4.0, 3.0, 2.5), (-60.0, -50.0, -70.0)


def small_chest() -> ScanView:
    """Two lungs with texture, one lesion that the method found in part, one that it missed, one that is not there."""
    geometry = Geometry(SHAPE, SPACING_MM, ORIGIN_MM)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    rng = np.random.default_rng(0)
    lungs = [((z / 0.8) ** 2 + (y / 0.7) ** 2 + ((x - side) / 0.35) ** 2) < 1 for side in (0.45, -0.45)]
    regions = np.where(lungs[0], 1, np.where(lungs[1], 2, 0)).astype(np.uint8)
    image = np.where(regions > 0, -850.0, 40.0) + 30 * rng.standard_normal(SHAPE)
    truth = np.zeros(SHAPE, np.uint8)
    truth[8:14, 16:22, 32:38] = 1
    truth[18:20, 14:16, 10:13] = 2
    mask = np.zeros(SHAPE, np.uint8)
    mask[9:14, 15:21, 33:38] = 1
    mask[16:18, 20:24, 10:14] = 1
    image[truth > 0] = -500
    activation = np.clip(0.8 * mask + 0.3 * rng.random(SHAPE), 0, 1).astype(np.float32)
    scores = pd.DataFrame({"region": ["left", "right"], "fraction": [0.12, 0.01], "predicted": [2, 1], "given": [2, 3]})
    return ScanView(
        "chest",
        Volume(image.astype(np.int16), geometry),
        window_hu=(-1200, 300),
        mask=Volume(mask, geometry, "label"),
        activation=Volume(activation, geometry),
        truth=Volume(truth, geometry, "label"),
        regions=Volume(regions, geometry, "label"),
        headline="Dice 0.69",
        scores=scores,
    )


@pytest.fixture(scope="session")
def chest() -> ScanView:
    """The small chest; views are never written to."""
    return small_chest()


@pytest.fixture(scope="session")
def moved(chest: ScanView) -> Callable[[Callable[[Volume], Volume]], ScanView]:
    """The small chest with all its volumes stored another way."""

    def move(change: Callable[[Volume], Volume]) -> ScanView:
        layers = {name: change(getattr(chest, name)) for name in ("image", "mask", "activation", "truth", "regions")}
        return replace(chest, **layers)

    return move


@pytest.fixture(scope="session")
def picture() -> ScanView:
    """A single picture with a mask and truth."""
    geometry = Geometry((1, 40, 30))
    grey = np.tile(np.arange(30, dtype=np.uint8) * 8, (40, 1))[None]
    mask, truth = np.zeros((1, 40, 30), np.uint8), np.zeros((1, 40, 30), np.uint8)
    mask[0, 5:12, 4:10], truth[0, 8:14, 6:12] = 1, 1
    label = [Volume(voxels, geometry, "label") for voxels in (mask, truth)]
    activation = Volume(np.linspace(0, 1, 1200, dtype=np.float32).reshape(1, 40, 30), geometry)
    return ScanView("x-ray", Volume(grey, geometry), (0, 255), label[0], activation, label[1])
