"""V-Net: organs in volumes, from true masks, by a soft Dice with squared terms.

The files are the stages, in this order:

`prepare`      cohort -> scans and masks on the network's grid (`network_grid`)
`training`     grids -> network
`model`        network -> model file, and the model as `predict` uses it
`evaluation`   model and scans -> masks on each scan's grid; Dice and surface distance of each class
`report`       the run for a reader
"""

from weakmask.methods.method import Method
from weakmask.methods.v_net.config import VNetSettings
from weakmask.methods.v_net.evaluation import evaluate
from weakmask.methods.v_net.model import load, model
from weakmask.methods.v_net.prepare import prepare
from weakmask.methods.v_net.report import run_page
from weakmask.methods.v_net.training import train
from weakmask.pipeline import Stage

METHOD = Method(
    title="organs in volumes",
    paper="Milletari et al. 2016, arXiv 1606.04797",
    labels="masks of classes, or of one organ (truth/)",
    settings=VNetSettings,
    stages=(
        Stage("prepare", prepare, settings=("data", "prepare")),
        Stage(
            "train",
            train,
            after=("prepare",),
            settings=("seed", "device", "data", "network", "losses", "augmentation", "train"),
            resumable=True,
        ),
        Stage("model", model, after=("prepare", "train")),
        Stage("evaluation", evaluate, after=("prepare", "model"), settings=("device", "data", "network")),
    ),
    report=run_page,
    load=load,
)

__all__ = ["METHOD", "VNetSettings"]
