"""The supervised upper bound: dRAM's U-Net on dRAM's crops, trained on true masks.

It measures the cost of weak labels, since it differs from dRAM in the labels only. The files are the stages, in this
order:

prepare       cohort -> one crop per scored region, with its true lesions
segmentation  crops and true lesions -> network (cross-entropy and soft Dice)
maps          network -> model file; model and scans -> maps, masks and scores; their tables
report        the run -> report.html
"""

from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.methods.supervised.maps import judge, maps, model
from weakmask.methods.supervised.prepare import prepare
from weakmask.methods.supervised.segmentation import segmentation
from weakmask.methods.supervised.telling import conclude
from weakmask.pipeline import Stage

STAGES = (
    Stage("prepare", prepare, settings=("device", "data", "prepare")),
    Stage(
        "segmentation",
        segmentation,
        after=("prepare",),
        settings=("seed", "device", "data", "prepare", "network", "losses", "segmentation"),
        resumable=True,
    ),
    Stage("model", model, after=("prepare", "segmentation")),
    Stage("maps", maps, after=("prepare", "model")),
    Stage("evaluation", judge, after=("prepare", "maps")),
)

__all__ = ["STAGES", "SupervisedSettings", "conclude"]
