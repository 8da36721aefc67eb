"""Dual-task MIL in 3-D, on the phantoms of table 2, from a yes or no per lobe, beside CAM, DeCoVNet and AD3D-MIL.

Two fifths of the lobes have no lesion. The truth is known to the voxel, and no network has seen it: no leak.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from weakmask.experiments import dram_phantoms
from weakmask.experiments.dual_task_tables import classifier_area
from weakmask.experiments.experiment import ANYWHERE, Changes, Experiment, Judged, Row, Tables
from weakmask.experiments.gather import by_row, lesion_numbers, mean_tables
from weakmask.methods.ad3d_mil import config as ad3d
from weakmask.methods.decovnet import config as decovnet
from weakmask.methods.dual_task_mil import config as dual
from weakmask.region_learning.bag_settings import BagTrainingSettings, YesNoDataSettings
from weakmask.region_learning.settings import NetworkSettings

CHAIN = "dual-task"
AHEAD = {"cam": 0.10, "cam-refine": 0.05}  # row -> by how much the chain is to be above its mean IoU
CAPTION = (
    "Phantoms that no row has learnt. Means over the complete seeds; iou mean is over the scans with lesions, pooled "
    "over all voxels. CAM raw is Grad-CAM with Otsu's threshold, and learns from the same yes or no. auc: of the "
    "classifier on held-out lobes. Every cut of the rows below CAM is chosen on held-out lobes without lesions."
)
_COMMON: dict[str, Any] = {
    "device": "cpu",
    "data": YesNoDataSettings(cohort=ANYWHERE.cohort, validation=0.2),
    "prepare": dram_phantoms.QUICK.settings["cam"].prepare,  # pyright: ignore[reportAttributeAccessIssue]
}
_CLASSIFIER: dict[str, Any] = BagTrainingSettings(steps=300, batch=6, contrast=0.05, blur=0.0).model_dump()
_SHARED: dict[str, Any] = {"contrast": 0.05, "blur": 0.0}
QUICK = replace(
    dram_phantoms.QUICK,
    settings={
        "cam": dram_phantoms.QUICK.settings["cam"],
        "dual_task_mil": dual.DualTaskSettings(
            **_COMMON,
            network=NetworkSettings(width=8),
            classification=dual.ClassificationSettings(**_CLASSIFIER),
            patches=dual.PatchSettings(steps=200, batch=6, size=2, **_SHARED),
            segmentation=dual.SegmentationSettings(steps=200, batch=6, **_SHARED),
        ),
        "decovnet": decovnet.DeCoVNetSettings(
            **_COMMON,
            network=decovnet.NetworkSettings(shrink=4),
            classification=decovnet.ClassificationSettings(**_CLASSIFIER),
        ),
        "ad3d_mil": ad3d.AD3DMILSettings(
            **_COMMON,
            network=ad3d.NetworkSettings(shrink=4),
            classification=ad3d.ClassificationSettings(**_CLASSIFIER),
        ),
    },
)


def _step(title: str, changes: Changes, below: str | None = None) -> Row:
    return Row(title, "dual_task_mil", changes, below=below, after=() if not changes else (CHAIN,))


ROWS = {
    "cam": dram_phantoms.ROWS["cam"],
    "cam-refine": dram_phantoms.ROWS["cam-refine"],
    "grad-cam": _step("Grad-CAM", {"maps": {"of": "grad-cam"}}),
    "easy-to-hard": _step("Grad-CAM + patches, easy to hard", {"maps": {"of": "patches"}}, "grad-cam"),
    CHAIN: _step("dual-task MIL", {}, "easy-to-hard"),
    "decovnet": Row("DeCoVNet", "decovnet"),
    "ad3d-instance": Row("AD3D-MIL, instances", "ad3d_mil"),
}


NUMBERS = ("iou_mean", "iou_pooled", "dice_mean", "dice_pooled", "ppv", "sensitivity", "specificity")


def measured(runs: Sequence[Judged]) -> dict[str, Any]:
    """The overlap of one row and seed, and the AUC of its classifier."""
    found = lesion_numbers(runs)
    return {**{name: found[name] for name in NUMBERS}, "auc": classifier_area(runs)}


def tabulate(runs: Sequence[Judged]) -> Tables:
    """A line per row, and by how much the chain is above CAM."""
    tables = mean_tables(runs, measured)
    found = {row: lines[0] for row, lines in by_row(tables.report).items()}
    if CHAIN not in found:
        return tables
    own = found[CHAIN]["iou_mean"]
    notes = []
    for row, wanted in AHEAD.items():
        if row in found:
            above = own - found[row]["iou_mean"]
            held = "holds" if above >= wanted else "does not hold"
            notes.append(f"{held}: {above:+.3f} mean IoU against {found[row]['method']}, {wanted} wanted")
    summary = f"Dual-task MIL, trained from a yes or no per lobe, reaches a mean IoU of {own:.3f}."
    return replace(tables, summary=summary, notes=tuple(notes))


EXPERIMENT = Experiment(
    title="Dual-task MIL on phantoms, from a yes or no per lobe",
    paper="Wang Y., Dual-task mutual learning for weakly-supervised COVID-19 lesion segmentation (abstract)",
    rows=ROWS,
    presets={"quick": QUICK},
    cohorts=dram_phantoms.cohorts_of,
    tabulate=tabulate,
    caption=CAPTION,
    make_cohorts=dram_phantoms.make_phantoms,
    first=(CHAIN, "ad3d-instance", "decovnet", "cam-refine"),
)
