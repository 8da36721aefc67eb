"""The rows of the paper's comparison and ablation (Xie et al. 2021, Tables II and IV b), and their presets.

A rung of dRAM is the complete method with what stands above it switched off, each by a value of the config. A new rung
is one line in `RUNGS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakmask.config import Settings
from weakmask.experiments.table2_floors import Floor, FloorSettings
from weakmask.experiments.table2_presets import Preset
from weakmask.methods.cam.config import CamSettings
from weakmask.methods.dram.config import AnchorSettings, ContextSettings, DramSettings, LossSettings
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.region_learning.settings import DataSettings

CAM_RAW, BASELINE = "cam", "cam-refine"  # the paper's baseline is the refined one
WITHOUT_ANCHOR: dict[str, dict[str, Any]] = {
    "losses": {"regression": LossSettings().regression},
    "refinement": {"keep_to_scores": False, "dice": 0.0, "anchor": AnchorSettings(until=0.0)},
}
# from the bottom up: name, what the table calls it, the IoU of Table IV b, and the values that switch it off
RUNGS: tuple[tuple[str, str, float, dict[str, dict[str, Any]]], ...] = (
    ("raw", "raw", 0.395, {}),
    ("regularizer", "+ regularizer", 0.435, {"losses": {"equivariance": 0.0, "entropy": 0.0}}),
    ("refine", "+ refine", 0.452, {"refinement": {"weight": 0.0}}),
    ("attention", "+ attention", 0.469, {"refinement": {"attention": False}}),
    ("vessels", "+ vessel suppression", 0.475, {"vessels": {"suppress": False}}),
    # ours: targets that keep to the scores, and are cut from the opened image while the map still says nothing; they
    # say more than the score alone, which then weighs less
    ("anchor", "+ anchor", math.nan, WITHOUT_ANCHOR),
    ("context", "+ context (complete)", 0.495, {"context": ContextSettings(train=False).model_dump()}),
)
# rows that take over what another has computed, and so wait for it; the longest chain comes first
SHARES_WITH = {"anchor": (), "context": ("anchor",), "vessels": ("anchor",), BASELINE: (CAM_RAW,)}
FLOORS: tuple[tuple[str, Floor], ...] = (
    ("nothing", "nothing"),
    ("otsu", "Otsu in the region"),
    ("fixed", "fixed threshold"),
)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        method: Its method in the table.
        ablation: What of the method is switched on; empty where there is nothing to choose.
        module: Holds STAGES and `conclude`.
        settings: Preset, cohorts, seed -> settings.
        below: The row that it adds one thing to; None: it adds to none.
        published: The paper's mean IoU, on its own scans; nan where it has no such row.
    """

    method: str
    ablation: str
    module: str
    settings: Callable[[Preset, DataSettings, int], Settings]
    below: str | None = None
    published: float = math.nan

    @property
    def title(self) -> str:
        """The name in tables of results."""
        return f"{self.method} {self.ablation}".strip()


def cohorts_of(phantoms: Path, preset: Preset) -> DataSettings:
    """Where a row's scans lie."""
    return DataSettings(cohort=phantoms / "training", test=phantoms / "test", validation=preset.validation)


def dram(preset: Preset, data: DataSettings, seed: int, rung: str) -> DramSettings:
    """The settings of a rung of dRAM: those of the complete method with the rungs above it switched off."""
    settings = DramSettings(seed=seed, device=preset.device, data=data, prepare=preset.prepare, **preset.dram)
    names = [rung[0] for rung in RUNGS]
    for *_, off in RUNGS[names.index(rung) + 1 :]:
        for section, values in off.items():
            changed = getattr(settings, section).model_copy(update=values)
            settings = settings.model_copy(update={section: changed})
    return settings


def _rung(place: int) -> Row:
    name, ablation, published, _ = RUNGS[place]
    return Row(
        "dRAM",
        ablation,
        "weakmask.methods.dram",
        lambda preset, data, seed: dram(preset, data, seed, name),
        RUNGS[place - 1][0] if place else None,
        published,
    )


def _cam(ablation: str, below: str | None, published: float, *, refine: bool) -> Row:
    def settings(preset: Preset, data: DataSettings, seed: int) -> CamSettings:
        maps = preset.cam["maps"].model_copy(update={"refine": refine})
        parts = {**preset.cam, "maps": maps}
        return CamSettings(seed=seed, device=preset.device, data=data, prepare=preset.prepare, **parts)

    return Row("CAM", ablation, "weakmask.methods.cam", settings, below, published)


def _floor(kind: Floor) -> Row:
    def settings(preset: Preset, data: DataSettings, seed: int) -> FloorSettings:
        return FloorSettings(seed=seed, device=preset.device, data=data, prepare=preset.prepare, floor=kind)

    return Row(kind, "", "weakmask.experiments.table2_floors", settings)


def _supervised(preset: Preset, data: DataSettings, seed: int) -> SupervisedSettings:
    return SupervisedSettings(seed=seed, device=preset.device, data=data, prepare=preset.prepare, **preset.supervised)


ROWS: dict[str, Row] = {
    **{name: _floor(kind) for name, kind in FLOORS},
    CAM_RAW: _cam("raw", None, 0.222, refine=False),
    BASELINE: _cam("+ refine", CAM_RAW, 0.336, refine=True),
    **{name: _rung(place) for place, (name, *_) in enumerate(RUNGS)},
    "supervised": Row("supervised U-Net", "", "weakmask.methods.supervised", _supervised),
}
