"""The table of dRAM on a handful of tiny phantoms and two steps."""

from dataclasses import replace

from weakmask.experiments.dram_phantoms import EXPERIMENT, PAPER, QUICK
from weakmask.experiments.experiment import Experiment, Preset, changed

TINY_LOOP = {"steps": 2, "batch": 2, "average_decay": 0.5, "keep": "last", "validate_every": 2, "checkpoint_every": 1}


def tiny() -> Preset:
    common = {"data": {"validation": 0.2}, "prepare": {"crop_shape": (16, 16, 16)}}
    few, narrow = {"scales": (1.0,)}, {"width": 2}
    changes = {
        "floor": {},
        "dram": {
            "network": narrow,
            "vessels": {"steps": 2},
            "regression": TINY_LOOP,
            "maps": few,
            "context": {"width": 2, "window_voxels": 16, "steps": 2, "batch": 1},
        },
        "cam": {"network": narrow, "classification": TINY_LOOP, "maps": few},
        "supervised": {"network": narrow, "segmentation": TINY_LOOP},
    }
    settings = {name: changed(QUICK.settings[name], {**common, **parts}) for name, parts in changes.items()}
    return Preset(settings, training_scans=6, test_scans=3, shape=(36, 42, 44), spacing_mm=(8.0, 8.0, 8.0))


def with_preset(preset: Preset) -> Experiment:
    return replace(EXPERIMENT, presets={"quick": preset, "paper": PAPER})
