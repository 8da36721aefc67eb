"""The supervised upper bound: dRAM's U-Net on dRAM's crops, trained on true masks.

The difference to dRAM is the labels alone. The files are the stages, in this order:

`prepare`       cohort -> one crop per scored region, with its true lesions
`segmentation`  crops and true lesions -> network (cross-entropy and soft Dice)
`maps`          network -> model file; model and scans -> maps, masks and scores; their tables
`report`        the run for a reader
"""

from weakmask.methods.method import Method
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.methods.supervised.maps import evaluate, load, maps, model
from weakmask.methods.supervised.prepare import prepare
from weakmask.methods.supervised.report import report_text
from weakmask.methods.supervised.segmentation import segmentation
from weakmask.pipeline import Stage
from weakmask.region_learning.run_report import run_page

METHOD = Method(
    title="lesion masks from true masks, the bound that weak labels are measured against",
    paper="the U-Net of Xie et al. 2021, arXiv 2105.11748",
    labels="true masks (truth/)",
    settings=SupervisedSettings,
    stages=(
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
        Stage("evaluation", evaluate, after=("prepare", "maps")),
    ),
    report=lambda run: run_page(run, report_text(run.config)),
    load=load,
)

__all__ = ["METHOD", "SupervisedSettings"]
