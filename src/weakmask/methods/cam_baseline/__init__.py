"""The CAM baseline: from a yes or no per region to a lesion mask.

As Xie et al. 2021 (arXiv 2105.11748, section IV-C-2) compare their dRAM with it. The files are the stages, in
this order:

by_region.prepare  cohort -> one crop per scored region, the same as dRAM's
classification     crops -> a network that tells regions with lesions from regions without
maps               network -> model file; model and scans -> maps, masks and scores; their tables
telling            the run for a person -> report.html
"""

from weakmask.methods.by_region.judging import JUDGING_STAGE
from weakmask.methods.by_region.maps import MAPS_STAGE
from weakmask.methods.by_region.model import MODEL_STAGE
from weakmask.methods.by_region.prepare import prepare
from weakmask.methods.cam_baseline.classification import STAGE, classification
from weakmask.methods.cam_baseline.config import CamSettings
from weakmask.methods.cam_baseline.maps import judge, maps, model
from weakmask.methods.cam_baseline.telling import conclude
from weakmask.pipeline import Stage

STAGES = (
    Stage("01-prepare", prepare),
    Stage(STAGE, classification, goes_on=True),
    Stage(MODEL_STAGE, model),
    Stage(MAPS_STAGE, maps),
    Stage(JUDGING_STAGE, judge),
)

__all__ = ["STAGES", "CamSettings", "conclude"]
