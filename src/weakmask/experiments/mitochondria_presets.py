"""The settings of the table of mitochondria: data set -> values that differ from the method's defaults.

`quick` is for two cores and half an hour a seed and set; the shipped configs of the real stacks hold it for Res-UNet-R,
at one size of patches. `paper` has the numbers of the paper and of its authors' code and wants a GPU.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weakmask.config import parse, with_values
from weakmask.experiments.experiment import Preset
from weakmask.experiments.mitochondria_sets import SETS
from weakmask.methods.mitochondria import MitochondriaSettings

Values = Mapping[str, Any]  # "section.field" -> value

CPU: Values = {
    "network.architecture": "h_paper",
    "network.widths": (16, 24, 32, 48),
    "network.norm": "batch",
    "network.padding": "zeros",
    "augmentation.bend": 0.0,
    "augmentation.missing_part": 0.0,
    "augmentation.missing_section": 0.0,
    "augmentation.misaligned": 0.0,
    "augmentation.motion_blur": 0.0,
    "augmentation.cut_blur": 0.0,
    "augmentation.cut_noise": 0.0,
    "train.optimiser": "adamw",
    "train.learning_rate": 1e-3,
    "train.schedule": "poly",
    "train.warm_up": 20,
    "train.foreground": 0.5,
    "train.validate_every": 100,
    "train.checkpoint_every": 100,
    "predict.window": (32, 256, 256),
    "predict.stride": (16, 192, 192),
    "predict.padding": (6, 32, 32),
}
REAL: Values = {  # of the two real stacks
    **CPU,
    "network.widths": (16, 32, 64, 96, 96),
    "data.validation": 0.2,
    "data.validation_at": "first",
    "augmentation.bend": 0.5,
    "augmentation.grey_range": 0.1,
    "train.learning_rate": 2e-3,
    "train.weight_decay": 0.01,
    "train.warm_up": 50,
    "train.foreground": 0.45,
    "train.dark": 0.45,
    "train.class_power": 0.5,
    "train.dice": 1.0,
    "train.average_decay": 0.998,
    "train.keep": "last",
    "train.validate_every": 200,
    "predict.views": 16,
    "decoder.criterion": "mean_ap",
}
QUICK: Mapping[str, Values] = {
    "phantoms": {**CPU, "targets.contour_nm": 32.0, "train.patch": (16, 96, 96), "train.steps": 900},
    "vnc": {
        **REAL,
        "augmentation.grey_range": 0.3,
        "prepare.pixel_nm": 18.0,
        "targets.contour_nm": 36.0,
        "train.patch": (16, 96, 96),
        "train.steps": 1200,
    },
    "cdeep3m": {
        **REAL,
        "prepare.pixel_nm": 30.0,
        "targets.contour_nm": 40.0,
        "train.patch": (16, 96, 96),
        "train.steps": 1500,
    },
}
FINE: Mapping[str, Values] = {
    "phantoms": {"train.fine_patch": (16, 128, 128), "train.fine_steps": 200},
    "vnc": {"train.fine_patch": (16, 128, 128), "train.fine_steps": 150},
    "cdeep3m": {"train.fine_patch": (16, 128, 128), "train.fine_steps": 200},
}
PAPER: Values = {"network.architecture": "h_paper"}
ONE_SIZE: Values = {"train.fine_steps": 0}


def settings(values: Values) -> MitochondriaSettings:
    """The method's settings with some values changed; the cohort comes with the run."""
    return parse(MitochondriaSettings, with_values({"data": {"cohort": Path()}}, values), "the preset")


def _preset(
    values: Mapping[str, Values], fine: Mapping[str, Values], shape: tuple[int, int, int], scans: int
) -> Preset:
    """A preset: name of a set -> settings of one size of patches, and with `-fine` of two."""
    one = {of: settings({**values[of], **ONE_SIZE}) for of in SETS}
    two = {f"{of}-fine": settings({**values[of], **fine[of]}) for of in SETS}
    nm = 1e-6  # in mm
    return Preset({**one, **two}, scans, 2, shape, (30 * nm, 16 * nm, 16 * nm))


PRESETS = {
    "quick": _preset(QUICK, FINE, (16, 256, 256), 6),
    "paper": _preset(dict.fromkeys(SETS, PAPER), {of: {} for of in SETS}, (48, 512, 512), 12),
}
