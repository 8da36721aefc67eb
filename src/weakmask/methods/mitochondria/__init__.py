"""Mitochondria: instances in 3-D electron microscopy, by a network for mask and contour and a watershed.

The files are the stages, in this order:

`prepare`          cohort -> stacks and instances on the working grid; the last sections are validation
`denoise`          training stacks, and those to test on, with less noise; off by default (`interpolation`)
`training`         stacks and instances -> network, at two sizes of patches (`augmentation`)
`probabilities`    network and stacks -> probabilities of mask and contour
`instances`        probabilities -> instances on each stack's own grid; thresholds from the validation sections
`model`            network and thresholds -> model file, and the model as `predict` uses it
`evaluation`       instances and truth -> tables
`report`           the run for a reader (`worst_instances`, `report_text`)
"""

from weakmask.methods.method import Method
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.denoise import denoise, denoise_training
from weakmask.methods.mitochondria.evaluation import evaluate
from weakmask.methods.mitochondria.instances import instances
from weakmask.methods.mitochondria.model import load, model
from weakmask.methods.mitochondria.prepare import prepare
from weakmask.methods.mitochondria.probabilities import probabilities
from weakmask.methods.mitochondria.report import run_page
from weakmask.methods.mitochondria.training import train
from weakmask.pipeline import Stage

METHOD = Method(
    title="mitochondria in electron microscopy, one by one",
    paper="Li et al. 2021, arXiv 2104.07961",
    labels="instances or masks of stacks (truth/)",
    settings=MitochondriaSettings,
    stages=(
        Stage("prepare", prepare, settings=("data", "prepare")),
        Stage(
            "denoise_training",
            denoise_training,
            after=("prepare",),
            settings=("seed", "device", "denoise_training"),
            resumable=True,
        ),
        Stage(
            "train",
            train,
            after=("prepare", "denoise_training"),
            settings=("seed", "device", "network", "targets", "augmentation", "train"),
            resumable=True,
        ),
        Stage("denoise", denoise, after=("prepare",), settings=("seed", "device", "denoise"), resumable=True),
        Stage(
            "probabilities",
            probabilities,
            after=("prepare", "denoise_training", "train", "denoise"),
            settings=("device", "train", "predict"),
        ),
        Stage("instances", instances, after=("prepare", "probabilities"), settings=("decoder",)),
        Stage("model", model, after=("prepare", "train", "instances")),
        Stage("evaluation", evaluate, after=("prepare", "instances"), settings=("data", "decoder")),
    ),
    report=run_page,
    load=load,
)

__all__ = ["METHOD", "MitochondriaSettings"]
