"""A toy method, added by following "Add a method" in CONTRIBUTING.md to the letter: one colour per class.

It learns from the classes of whole colour pictures. The files are the stages, in this order:

`prepare`     cohort -> small colour pictures and their classes, split by patient
`prototypes`  pictures and classes -> one colour per class, so that each class that is present is found somewhere
`model`       colours -> model file, and the model as `predict` uses it
`evaluation`  model and validation pictures -> tables
`report`      the run for a reader
"""

from weakmask.methods.method import Method
from weakmask.methods.prototypes.config import PrototypeSettings
from weakmask.methods.prototypes.evaluation import evaluate
from weakmask.methods.prototypes.model import load, model
from weakmask.methods.prototypes.prepare import prepare
from weakmask.methods.prototypes.prototypes import prototypes
from weakmask.methods.prototypes.report import run_page
from weakmask.pipeline import Stage

METHOD = Method(
    title="class masks of colour pictures, one colour per class",
    paper="none: an example for contributors",
    labels="classes per picture (labels.csv)",
    settings=PrototypeSettings,
    stages=(
        Stage("prepare", prepare, settings=("data", "prepare")),
        Stage(
            "prototypes",
            prototypes,
            after=("prepare",),
            settings=("seed", "device", "network", "learning"),
            resumable=True,
        ),
        Stage("model", model, after=("prepare", "prototypes")),
        Stage("evaluation", evaluate, after=("prepare", "model")),
    ),
    report=run_page,
    load=load,
)

__all__ = ["METHOD", "PrototypeSettings"]
