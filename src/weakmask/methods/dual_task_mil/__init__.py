"""Dual-task MIL: lesion masks from a yes or no per region.

Wang Y., "Dual-task mutual learning for weakly-supervised COVID-19 lesion segmentation from chest CT" (an abstract of
one page). The files are the stages, in this order:

`region_learning.prepare`  cohort -> one crop per region, with yes or no
`coarse_maps`              crops and yes or no -> classifier; classifier -> Grad-CAM of the training crops
`patches`                  crops and Grad-CAM -> instance network of small patches, from easy to hard
`labels`                   instance network -> fine labels of the training crops
`segmentation`             crops and fine labels -> U-Net
`maps`                     network -> model file, with the cut of its maps; model and scans -> maps, masks, their tables
`report`                   the run for a reader

With `rounds: 2`, patches, labels and segmentation run once more, with the maps of the U-Net in place of Grad-CAM.
"""

from functools import partial

from weakmask.methods.dual_task_mil.coarse_maps import classification, grad_cam
from weakmask.methods.dual_task_mil.config import DualTaskSettings
from weakmask.methods.dual_task_mil.labels import labels
from weakmask.methods.dual_task_mil.maps import evaluate, load, maps, model
from weakmask.methods.dual_task_mil.patches import patches
from weakmask.methods.dual_task_mil.report import run_page
from weakmask.methods.dual_task_mil.segmentation import is_wanted, segmentation
from weakmask.methods.method import Method
from weakmask.pipeline import Stage
from weakmask.region_learning.prepare import prepare

CROPS = ("device", "data", "prepare")
LEARNT = ("seed", *CROPS)
OF_PATCHES = (*LEARNT, "patches")
OF_SEGMENTATION = (*LEARNT, "network", "segmentation", "rounds", "maps.of")


def _once(config: DualTaskSettings) -> bool:
    return config.rounds == 1


METHOD = Method(
    title="lesion masks from a yes or no per region, by patches from easy to hard",
    paper="Wang Y., Dual-task mutual learning (abstract)",
    labels="yes or no per region (scores.csv or labels.csv)",
    settings=DualTaskSettings,
    stages=(
        Stage("prepare", prepare, settings=CROPS),
        Stage(
            "classification",
            classification,
            after=("prepare",),
            settings=(*LEARNT, "network", "classification"),
            resumable=True,
        ),
        Stage("grad-cam", grad_cam, after=("prepare", "classification"), settings=(*CROPS, "grad_cam")),
        Stage(
            "patches",
            partial(patches, again=False),
            after=("prepare", "grad-cam"),
            settings=OF_PATCHES,
            resumable=True,
        ),
        Stage("labels", partial(labels, again=False), after=("prepare", "patches"), settings=(*CROPS, "patches")),
        Stage(
            "segmentation",
            partial(segmentation, again=False),
            after=("prepare", "labels"),
            settings=OF_SEGMENTATION,
            resumable=True,
            off=lambda config: not is_wanted(config, again=False),
        ),
        Stage(
            "patches-again",
            partial(patches, again=True),
            after=("prepare", "segmentation"),
            settings=(*OF_PATCHES, "rounds"),
            resumable=True,
            off=_once,
        ),
        Stage(
            "labels-again",
            partial(labels, again=True),
            after=("prepare", "patches-again"),
            settings=(*CROPS, "patches", "rounds"),
            off=_once,
        ),
        Stage(
            "segmentation-again",
            partial(segmentation, again=True),
            after=("prepare", "labels-again"),
            settings=OF_SEGMENTATION,
            resumable=True,
            off=lambda config: not is_wanted(config, again=True),
        ),
        Stage(
            "model",
            model,
            after=(
                *("prepare", "classification", "grad-cam", "patches", "segmentation"),
                *("patches-again", "segmentation-again"),
            ),
        ),
        Stage("maps", maps, after=("prepare", "model")),
        Stage("evaluation", evaluate, after=("prepare", "classification", "maps")),
    ),
    report=run_page,
    load=load,
)

__all__ = ["METHOD", "DualTaskSettings"]
