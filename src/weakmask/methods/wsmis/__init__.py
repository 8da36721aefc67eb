"""WSMIS: masks of classes from the classes of whole images, in X-rays, ultrasound and photographs.

The files are the stages, in this order:

`prepare`         cohort -> small square pictures and their classes, split by patient
`classification`  pictures and classes -> classifier
`maps`            classifier -> an activation map of each class that is present
`labels`          maps -> labels of pixels, by a threshold and a dense CRF
`boundary`        labels -> IRNet's boundary network; maps walk within its boundaries (off by default)
`segmentation`    pictures and labels -> segmentation network, in one or more rounds
`model`           both networks and the gate -> model file, and the model as `predict` uses it
`masks`           model and images -> masks, maps and probabilities
`evaluation`      masks of every step -> tables
`report`          the run for a reader
"""

from weakmask.methods.method import Method
from weakmask.methods.wsmis.boundary import boundary
from weakmask.methods.wsmis.classification import classification
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.evaluation import evaluate
from weakmask.methods.wsmis.labels import labels
from weakmask.methods.wsmis.maps import maps
from weakmask.methods.wsmis.masks import masks
from weakmask.methods.wsmis.model import load, model
from weakmask.methods.wsmis.prepare import prepare
from weakmask.methods.wsmis.report import run_page
from weakmask.methods.wsmis.segmentation import segmentation
from weakmask.pipeline import Stage

LEARNT = ("seed", "device", "network", "augmentation")  # settings of every training

METHOD = Method(
    title="masks of classes from the classes of whole images",
    paper="Viniavskyi et al. 2020, arXiv 2007.00748",
    labels="classes per image (labels.csv)",
    settings=WsmisSettings,
    stages=(
        Stage("prepare", prepare, settings=("data", "prepare")),
        Stage(
            "classification",
            classification,
            after=("prepare",),
            settings=(*LEARNT, "classification"),
            resumable=True,
        ),
        Stage("maps", maps, after=("prepare", "classification"), settings=("device", "maps")),
        Stage("labels", labels, after=("prepare", "maps"), settings=("labels",)),
        Stage(
            "boundary",
            boundary,
            after=("prepare", "classification", "maps", "labels"),
            settings=("seed", "device", "augmentation", "labels", "boundary"),
            resumable=True,
        ),
        Stage(
            "segmentation",
            segmentation,
            after=("prepare", "labels", "boundary"),
            settings=(*LEARNT, "labels", "boundary.train", "segmentation", "masks.mirror", "masks.scales"),
            resumable=True,
        ),
        Stage("model", model, after=("prepare", "classification", "segmentation")),
        Stage("masks", masks, after=("prepare", "model"), settings=("device", "data")),
        Stage(
            "evaluation",
            evaluate,
            after=("prepare", "classification", "labels", "boundary", "masks"),
            settings=("data", "boundary.train"),
        ),
    ),
    report=run_page,
    load=load,
)

__all__ = ["METHOD", "WsmisSettings"]
