"""How large everything is: `quick` for two cores, `paper` for one GPU.

The phantoms of a preset are the same for all seeds, which change the split, the initialisation and the draws alone:
so that rows and seeds are compared on the same scans.
"""

from dataclasses import dataclass
from typing import Any, Literal

from weakmask.errors import UserError
from weakmask.methods.cam.config import CamSettings
from weakmask.methods.cam.config import MapSettings as CamMapSettings
from weakmask.methods.cam.config import NetworkSettings as CamNetworkSettings
from weakmask.methods.dram.config import (
    AnchorSettings,
    ContextSettings,
    DramSettings,
    LossSettings,
    MapSettings,
    RefinementSettings,
    VesselSettings,
)
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.phantoms.chest_ct import QUICK_SHAPE, QUICK_SPACING_MM
from weakmask.region_learning.settings import NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.volume.geometry import Float3, Index3

TRAINING_SEED, TEST_SEED = 0, 10_000  # of the phantoms


@dataclass(frozen=True)
class Preset:
    """The scans, and the settings of each method.

    Attributes:
        training_scans: Phantoms to train on.
        test_scans: Phantoms to judge on.
        shape: Voxels of a phantom.
        spacing_mm: Their size.
        validation: Part of the training scans that is held out.
        device: Where to compute.
        prepare: How scans become crops, for all rows alike.
        dram: Sections of the complete dRAM.
        cam: Sections of the CAM baseline; `maps` is among them.
        supervised: Sections of the supervised bound.
    """

    training_scans: int
    test_scans: int
    shape: Index3
    spacing_mm: Float3
    validation: float
    device: Literal["auto", "cpu"]
    prepare: PrepareSettings
    dram: dict[str, Any]
    cam: dict[str, Any]
    supervised: dict[str, Any]


# every network has the same crops and learning rate: only what it learns from differs
QUICK_LOOP: dict[str, Any] = {
    "steps": 400,
    "batch": 6,
    "learning_rate": 2e-3,
    "average_decay": 0.98,
    "keep": "last",
    "validate_every": 200,
    "checkpoint_every": 50,
}

QUICK = Preset(
    training_scans=80,
    test_scans=20,
    shape=QUICK_SHAPE,
    spacing_mm=QUICK_SPACING_MM,
    validation=0.05,
    device="cpu",
    prepare=PrepareSettings(spacing_mm=None, crop_shape=(32, 32, 32)),
    dram={
        "network": NetworkSettings(width=8),
        # weights as on slices, where the paper's of 1 leave the regression no say
        "losses": LossSettings(regression=0.25, equivariance=0.2, entropy=0.02, compare="root"),
        "vessels": VesselSettings(steps=150, learning_rate=2e-3),
        "refinement": RefinementSettings(
            keep_to_scores=True,
            dice=1.0,
            anchor=AnchorSettings(until=0.6, opening_voxels=3),  # 5 opens small lesions away as well
        ),
        "regression": TrainingSettings(**QUICK_LOOP),
        "maps": MapSettings(scales=(1.5,)),
        # valid convolutions would read 23 times the voxels that they answer for
        "context": ContextSettings(
            spacing_mm=None,
            padding="same",
            window_voxels=48,
            width=8,
            from_regression=True,
            inside_only=True,
            dice=1.0,
            steps=800,
            batch=4,
            learning_rate=2e-3,
        ),
    },
    cam={
        "network": CamNetworkSettings(width=8),
        "classification": TrainingSettings(**QUICK_LOOP),
        # in voxels of 4 mm the filter takes more from lesions than from vessels
        "maps": CamMapSettings(exclude_vessels=False),
    },
    # the complete method trains two networks; its bound has as many steps
    supervised={
        "network": NetworkSettings(width=8),
        "segmentation": TrainingSettings(**{**QUICK_LOOP, "steps": 800}),
    },
)


def _sections(settings: type[DramSettings | CamSettings | SupervisedSettings], *names: str) -> dict[str, Any]:
    """Sections with the numbers of the paper, which are the defaults."""
    return {name: settings.model_fields[name].default for name in names}


PAPER = Preset(
    training_scans=322,
    test_scans=69,
    shape=(160, 192, 192),
    spacing_mm=(2.0, 2.0, 2.0),
    validation=30 / 322,
    device="auto",
    prepare=PrepareSettings(),
    dram={
        **_sections(DramSettings, "network", "vessels", "regression", "maps", "context"),
        "losses": LossSettings(regression=0.25),
        "refinement": RefinementSettings(keep_to_scores=True, dice=1.0, anchor=AnchorSettings(until=0.6)),
    },
    cam=_sections(CamSettings, "network", "classification", "maps"),
    supervised=_sections(SupervisedSettings, "network", "losses", "segmentation", "maps"),
)

PRESETS = {"quick": QUICK, "paper": PAPER}


def preset_of(name: str) -> Preset:
    """The preset of a name.

    Raises:
        UserError: There is none.
    """
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
