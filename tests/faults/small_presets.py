"""The presets of `demo` and `reproduce table2` made so small that a run takes seconds."""

from dataclasses import replace
from functools import partial

from weakmask.commands import demo
from weakmask.experiments import run
from weakmask.experiments.dram_phantoms import EXPERIMENT, QUICK
from weakmask.experiments.experiment import changed
from weakmask.phantoms import chest_ct


def make_presets_small() -> None:
    """Few scans of few voxels, one or two steps of each network, one process; for the rest of this process."""
    few = {"steps": 2, "batch": 2}
    common = {"data": {"validation": 0.0}, "prepare": {"crop_shape": (16, 16, 16)}}
    changes = {
        **common,
        "network": {"width": 1},
        "vessels": {"steps": 1},
        "regression": {**few, "checkpoint_every": 1},
        "maps": {"scales": (1.0,)},
        "context": {**few, "width": 1, "window_voxels": 16},
    }
    settings = {"floor": changed(QUICK.settings["floor"], common), "dram": changed(QUICK.settings["dram"], changes)}
    small = replace(
        QUICK, settings=settings, training_scans=2, test_scans=1, shape=(20, 22, 24), spacing_mm=(15.0, 15.0, 15.0)
    )
    phantoms = partial(chest_ct.write_phantom_cohort, workers=1)
    chest_ct.write_phantom_cohort = phantoms
    demo.QUICK, demo.TEST_SCANS, demo.write_phantom_cohort, demo.jobs_for = small, 1, phantoms, lambda _: 1
    run.EXPERIMENTS["table2"] = replace(EXPERIMENT, presets={"quick": small})
