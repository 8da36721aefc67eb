"""A scan of boxes, and settings of a small context network."""

from pathlib import Path

import numpy as np

from weakmask.methods.dram.config import ContextSettings, DramSettings
from weakmask.methods.dram.pseudo_labels import FoundScan
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

LUNG_HU, LESION_HU, VESSEL_HU = -850, -300, 50


def settings(*, flat: bool = False, **context: object) -> DramSettings:
    own: dict[str, object] = {"spacing_mm": None, "window_voxels": 12, "width": 2, "batch": 3, "on_lesions": 0.5}
    return DramSettings(
        device="cpu",
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(crop_shape=(1 if flat else 16, 16, 16)),
        network=NetworkSettings(width=2),
        regression=TrainingSettings(contrast=0.0),
        context=ContextSettings(**(own | context)),  # pyright: ignore[reportArgumentType]
    )


def scan(score: int = 2, *, flat: bool = False) -> FoundScan:
    """A box of lung with a box of lesion, a vessel through it, and a map that rises towards the lesion's middle."""
    shape = (1 if flat else 30, 40, 50)
    geometry = Geometry(shape, (2.0, 2.0, 2.0))
    voxels = np.full(shape, LUNG_HU, dtype=np.int16)
    regions, vessels = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    z = slice(None) if flat else slice(5, 25)
    regions[z, 5:35, 5:45] = 3
    lesion = (slice(None) if flat else slice(10, 20), slice(10, 25), slice(10, 25))
    voxels[lesion] = LESION_HU
    vessels[..., 17, 5:45] = regions[..., 17, 5:45] > 0
    voxels[vessels > 0] = VESSEL_HU
    distances = np.indices(shape) - np.array([0 if flat else 15, 17, 17]).reshape(3, 1, 1, 1)
    ties = 1e-3 * np.random.default_rng(0).random(shape)
    activation = (np.exp(-np.square(distances / 12).sum(0)) + ties) * (regions > 0)
    image = Volume(voxels, geometry)
    return FoundScan(
        image=image,
        regions=image.with_voxels(regions, "label"),
        activation=image.with_voxels(activation.astype(np.float32)),
        vessels=image.with_voxels(vessels, "label"),
        scores={3: score},
    )
