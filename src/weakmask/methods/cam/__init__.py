"""The CAM baseline: from a yes or no per region to a lesion mask.

Xie et al. 2021 (arXiv 2105.11748, section IV-C-2) compare their dRAM with it. The files are the stages, in this order:

`region_learning.prepare`  cohort -> one crop per scored region, the same as dRAM's
`classification`           crops -> a network that classifies regions with and without lesions
`maps`                     network -> model file; model and scans -> maps, masks and scores; their tables
`report`                   the run for a reader
"""

from weakmask.methods.cam.classification import classification
from weakmask.methods.cam.config import CamSettings
from weakmask.methods.cam.maps import evaluate, load, maps, model
from weakmask.methods.cam.report import report_text
from weakmask.methods.method import Method
from weakmask.pipeline import Stage
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.run_report import run_page

METHOD = Method(
    title="lesion masks from a yes or no per region, the baseline that dRAM is compared with",
    paper="Zhou et al. 2016; Xie et al. 2021, arXiv 2105.11748, section IV-C-2",
    labels="yes or no per region (any score above 0 is yes)",
    settings=CamSettings,
    stages=(
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
        Stage("evaluation", evaluate, after=("prepare", "maps")),
    ),
    report=lambda run: run_page(run, report_text(run.config)),
    load=load,
)

__all__ = ["METHOD", "CamSettings"]
