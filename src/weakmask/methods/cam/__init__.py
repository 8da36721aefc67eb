"""The CAM baseline: from a yes or no per region to a lesion mask.

As Xie et al. 2021 (arXiv 2105.11748, section IV-C-2) compare their dRAM with it. The files are the stages, in
this order:

region_learning.prepare cohort -> one crop per scored region, the same as dRAM's
classification     crops -> a network that tells regions with lesions from regions without
maps               network -> model file; model and scans -> maps, masks and scores; their tables
report             the run -> report.html
"""

from weakmask.methods.cam.classification import classification
from weakmask.methods.cam.config import CamSettings
from weakmask.methods.cam.maps import judge, maps, model
from weakmask.methods.cam.telling import conclude
from weakmask.pipeline import Stage
from weakmask.region_learning.prepare import prepare

STAGES = (
    Stage("prepare", prepare, settings=("device", "data", "prepare")),
    Stage(
        "classification",
        classification,
        after=("prepare",),
        settings=("seed", "device", "data", "prepare", "network", "classification"),
        resumable=True,
    ),
    Stage("model", model, after=("prepare", "classification")),
    Stage("maps", maps, after=("prepare", "model")),
    Stage("evaluation", judge, after=("prepare", "maps")),
)

__all__ = ["STAGES", "CamSettings", "conclude"]
