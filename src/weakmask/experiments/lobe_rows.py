"""The rows of the lobe table, its presets, and the ways in which the test scans are made hard.

The networks share scans, grid, steps, loss and cleaning; only the network differs. `quick` is for two cores and
minutes; `paper` has the papers' widths and PDV-Net's grid of the whole scan, and wants a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weakmask.errors import UserError
from weakmask.methods.lobes.config import (
    DataSettings,
    FrameSettings,
    LobeSettings,
    NetworkSettings,
    SegmentationSettings,
)
from weakmask.volume.geometry import Box
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

NOISE_HU = 60.0  # added to each voxel of the test scans: a low-dose scan with a sharp kernel
THICK_MM = 5.0
TEST_SEED = 77_000  # of the test phantoms; no training seed comes near
TITLES = {"unet": "2-D U-Net", "dense": "dense V-Net", "vnet": "V-Net", "pdv": "PDV-Net"}


@dataclass(frozen=True)
class Preset:
    """How large everything is.

    Attributes:
        data: Phantoms to learn from.
        prepare: The grid.
        segmentation: The training.
        networks: By the rows' names.
        test_scans: Per subset.
    """

    data: DataSettings
    prepare: FrameSettings
    segmentation: SegmentationSettings
    networks: dict[str, NetworkSettings]
    test_scans: int

    def settings(self, row: str, seed: int) -> LobeSettings:
        """A row's settings."""
        return LobeSettings(
            seed=seed,
            data=self.data,
            prepare=self.prepare,
            network=self.networks[row],
            segmentation=self.segmentation,
        )


def _networks(width: int, unet_width: int, dropout: float) -> dict[str, NetworkSettings]:
    return {
        "unet": NetworkSettings(name="unet", width=unet_width),
        "dense": NetworkSettings(name="dense_v_net", growth=(4, 8, 16), dropout=dropout),
        "vnet": NetworkSettings(name="v_net", width=width, dropout=dropout),
        "pdv": NetworkSettings(name="pdv_net", dropout=dropout),
    }


PRESETS = {
    "quick": Preset(
        data=DataSettings(phantoms=200, validation=0.06),
        prepare=FrameSettings(shape=(64, 56, 80), frame="lungs", outside="blank"),
        segmentation=SegmentationSettings(
            steps=300,
            batch=1,
            schedule="cosine",
            cross_entropy=0.5,  # Dice alone loses a lobe with some seeds, and never finds it again
            average_decay=0.98,
            keep="last",
            validate_every=100,
            checkpoint_every=25,
        ),
        networks=_networks(width=4, unet_width=8, dropout=0.0),
        test_scans=8,
    ),
    "paper": Preset(
        data=DataSettings(phantoms=354, phantom_spacing_mm=1.5),
        prepare=FrameSettings(),
        segmentation=SegmentationSettings(),
        networks=_networks(width=16, unet_width=32, dropout=0.2),
        test_scans=84,
    ),
}


def preset_of(name: str) -> Preset:
    """The preset of a name.

    Raises:
        UserError: There is none.
    """
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def with_noise(image: Volume, lobes: Volume, seed: int) -> tuple[Volume, Volume]:
    """The scan with white noise of `NOISE_HU`."""
    noise = np.random.default_rng(seed).standard_normal(image.voxels.shape, dtype=np.float32)
    return image.with_voxels(np.rint(image.voxels + NOISE_HU * noise).astype(np.int16)), lobes


def with_thick_slices(image: Volume, lobes: Volume, seed: int) -> tuple[Volume, Volume]:  # noqa: ARG001 (as its like)
    """The scan in slices of `THICK_MM`, each the mean of those that it spans."""
    each = max(1, round(THICK_MM / image.geometry.spacing_mm[0]))
    slices, rows, columns = image.geometry.shape
    whole = image.crop(Box((0, 0, 0), (slices // each * each, rows, columns)))
    voxels = whole.voxels.reshape(-1, each, rows, columns).mean(axis=1)
    geometry = whole.geometry.with_shape(voxels.shape)
    return Volume(np.rint(voxels).astype(np.int16), geometry), resample_onto(lobes, geometry)


Hardening = Callable[[Volume, Volume, int], tuple[Volume, Volume]]


def _as_it_is(image: Volume, lobes: Volume, seed: int) -> tuple[Volume, Volume]:  # noqa: ARG001 (as its like)
    return image, lobes


SUBSETS: dict[str, tuple[bool, Hardening]] = {
    # name: whether the scans have lesions, and what is done to them
    "healthy": (False, _as_it_is),
    "lesions": (True, _as_it_is),
    "noise": (True, with_noise),
    "thick slices": (True, with_thick_slices),
}
