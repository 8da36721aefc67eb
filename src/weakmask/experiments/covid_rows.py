"""The rows of the COVID-SemiSeg table, and their settings on two cores.

Every row has the same crops, network, steps and learning rate; only labels and losses differ. `complete-long` takes
three times the steps and tells what is left in the others. The numbers are our choice (O) except where dRAM's own
defaults stand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from weakmask.config import Settings
from weakmask.methods.cam.config import CamSettings
from weakmask.methods.cam.config import MapSettings as CamMapSettings
from weakmask.methods.cam.config import NetworkSettings as CamNetworkSettings
from weakmask.methods.dram.config import (
    AnchorSettings,
    ContextSettings,
    CrfSettings,
    DramSettings,
    LossSettings,
    MapSettings,
    RefinementSettings,
    VesselSettings,
)
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings

Source = Literal["both", "expert", "simulated", "masks"]
STEPS, BATCH, LEARNING_RATE = 300, 8, 2e-3
OPENING_VOXELS = 7  # of a crop; of 5, 7 and 9 the one whose labels were best
PREPARE = PrepareSettings(spacing_mm=None, margin_mm=3.0, crop_shape=(1, 96, 160), grey_values="picture")
LONG = 3  # times the steps, in the row that says so
LOOP: dict[str, Any] = {
    "steps": STEPS,
    "batch": BATCH,
    "learning_rate": LEARNING_RATE,
    "average_decay": 0.98,
    "keep": "last",
}
EVERY: dict[str, Any] = {"validate_every": 50, "checkpoint_every": 50}
RAW: dict[str, Any] = {
    "losses": LossSettings(equivariance=0.0, entropy=0.0),
    "refinement": RefinementSettings(weight=0.0),
}
# the paper's weights of 1 leave the regression no say on slices
REGULARISED = LossSettings(equivariance=0.2, entropy=0.02)
CRF = CrfSettings(smoothness_mm=2.0, smoothness_weight=1.0, appearance_mm=5.0, appearance_weight=2.0)
COMPLETE: dict[str, Any] = {
    "losses": LossSettings(regression=0.25, equivariance=0.0, entropy=0.0, compare="root"),
    "vessels": VesselSettings(suppress=False),
    "refinement": RefinementSettings(
        attention=False,
        start=0.0,
        keep_to_scores=True,
        dice=1.0,
        crf=CrfSettings(iterations=0),
        anchor=AnchorSettings(until=0.6, opening_voxels=OPENING_VOXELS),
    ),
    # where the fractions of the maps fit the expert scores of the training folds best (0.14 to 0.34)
    "maps": MapSettings(scales=(1.0,), threshold=0.3),
}


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: In the table.
        method: Its name in `weakmask.methods.METHODS`.
        source: Whose labels it learns from.
        settings: Training cohort, test cohort, seed -> settings.
    """

    title: str
    method: str
    source: Source
    settings: Callable[[Path, Path | None, int], Settings]


def dram(seed: int, data: DataSettings, parts: Mapping[str, Any], times: int = 1) -> DramSettings:
    """The settings of a dRAM row; the map is cut at 0.5 where the row does not say otherwise."""
    return DramSettings(
        seed=seed,
        data=data,
        prepare=PREPARE,
        network=NetworkSettings(width=8),
        regression=TrainingSettings(**_loop(times), sampling="patients"),
        **{"maps": MapSettings(scales=(1.0,)), "context": ContextSettings(train=False), **parts},
    )


def _dram_row(title: str, source: Source = "both", times: int = 1, **parts: Settings) -> Row:
    return Row(title, "dram", source, lambda train, test, seed: dram(seed, _data(train, test), parts, times))


def _loop(times: int = 1) -> dict[str, Any]:
    """How every row is trained, for so many times the steps."""
    return {**LOOP, **EVERY, "steps": times * LOOP["steps"]}


def _refined(*, attention: bool, vessels: bool) -> dict[str, Any]:
    return {
        "losses": REGULARISED,
        "vessels": VesselSettings(suppress=vessels, steps=200, learning_rate=2e-3),
        "refinement": RefinementSettings(attention=attention, crf=CRF),
    }


def _cam(train: Path, test: Path | None, seed: int, *, refine: bool) -> CamSettings:
    return CamSettings(
        seed=seed,
        data=_data(train, test),
        prepare=PREPARE,
        network=CamNetworkSettings(width=8),
        classification=TrainingSettings(**_loop()),
        maps=CamMapSettings(scales=(1.0,), refine=refine),
    )


def _supervised(train: Path, test: Path | None, seed: int) -> SupervisedSettings:
    return SupervisedSettings(
        seed=seed,
        data=_data(train, test),
        prepare=PREPARE,
        network=NetworkSettings(width=8),
        segmentation=TrainingSettings(**_loop()),
    )


def _data(train: Path, test: Path | None) -> DataSettings:
    return DataSettings(cohort=train, test=test, validation=0.0)


ROWS = {
    "cam": Row("CAM raw", "cam", "both", lambda *given: _cam(*given, refine=False)),
    "cam-refine": Row("CAM refined", "cam", "both", lambda *given: _cam(*given, refine=True)),
    "raw": _dram_row("dRAM raw", **RAW),
    "regularizer": _dram_row("dRAM + regularizer", losses=REGULARISED, refinement=RAW["refinement"]),
    "refine": _dram_row("dRAM + refine", **_refined(attention=False, vessels=False)),
    "attention": _dram_row("dRAM + attention", **_refined(attention=True, vessels=False)),
    "vessels": _dram_row("dRAM + vessel suppression", **_refined(attention=True, vessels=True)),
    "complete": _dram_row("dRAM complete", **COMPLETE),
    "complete-expert": _dram_row("dRAM complete, expert scores alone", "expert", **COMPLETE),
    "complete-simulated": _dram_row("dRAM complete, simulated scores alone", "simulated", **COMPLETE),
    "complete-long": _dram_row("dRAM complete, three times the steps", times=LONG, **COMPLETE),
    "supervised": Row("supervised U-Net", "supervised", "masks", _supervised),
}
