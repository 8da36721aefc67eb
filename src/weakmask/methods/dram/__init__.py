"""Dense regression activation maps: from a severity score per region to a lesion mask.

Xie, Jacobs, Charbonnier, van Ginneken, "Dense Regression Activation Maps For Lesion Segmentation in CT scans of
COVID-19 patients", 2021, arXiv 2105.11748. The files are the stages, in this order:

region_learning.prepare cohort -> one crop per scored region
vessels            crops without lesions -> vessel network -> vessels of all crops
regression         crops and score intervals -> network (interval regression, equivariance, entropy, refinement)
model              network -> model file, with the threshold of the maps
pseudo-labels      model and training scans -> lesion, vessel and background of their voxels
context-model      scans and pseudo-labels -> context network -> its model file
maps               the last model file and scans -> activation maps, masks and scores
judging            masks against truth, beside three baselines that need no network -> results.csv, summary.csv
telling            the run for a person -> report.html
"""

from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.context_training import context_network
from weakmask.methods.dram.judging import FOLDER as JUDGING
from weakmask.methods.dram.judging import judge
from weakmask.methods.dram.maps import FOLDER as MAPS
from weakmask.methods.dram.maps import maps, model
from weakmask.methods.dram.pseudo_labels import pseudo_labels
from weakmask.methods.dram.regression import regression
from weakmask.methods.dram.telling import conclude
from weakmask.methods.dram.vessels import vessels
from weakmask.pipeline import Stage
from weakmask.region_learning.prepare import prepare

STAGES = (
    Stage("01-prepare", prepare),
    Stage("02-vessels", vessels, goes_on=True),
    Stage("03-regression", regression, goes_on=True),
    Stage("04-model", model),
    Stage("05-pseudo-labels", pseudo_labels),
    Stage("06-context-model", context_network, goes_on=True),
    Stage(MAPS, maps),
    Stage(JUDGING, judge),
)

__all__ = ["STAGES", "DramSettings", "conclude"]
