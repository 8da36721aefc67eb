"""The supervised upper bound: dRAM's U-Net on dRAM's crops, trained on true masks.

What the labels cost: the difference to dRAM is the labels alone. The files are the stages, in this order:

prepare       cohort -> one crop per scored region, with its true lesions
segmentation  crops and true lesions -> network (cross-entropy and soft Dice)
maps          network -> model file; model and scans -> maps, masks and scores; their tables
telling       the run for a person -> report.html
"""

from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.methods.supervised.maps import judge, maps, model
from weakmask.methods.supervised.prepare import prepare
from weakmask.methods.supervised.segmentation import STAGE, segmentation
from weakmask.methods.supervised.telling import conclude
from weakmask.pipeline import Stage
from weakmask.region_learning.evaluate_run import JUDGING_STAGE
from weakmask.region_learning.region_model import MODEL_STAGE
from weakmask.region_learning.write_predictions import MAPS_STAGE

STAGES = (
    Stage("01-prepare", prepare),
    Stage(STAGE, segmentation, goes_on=True),
    Stage(MODEL_STAGE, model),
    Stage(MAPS_STAGE, maps),
    Stage(JUDGING_STAGE, judge),
)

__all__ = ["STAGES", "SupervisedSettings", "conclude"]
