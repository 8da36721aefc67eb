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
report             the run -> report.html
"""

from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.context_training import context_network
from weakmask.methods.dram.judging import judge
from weakmask.methods.dram.maps import maps, model
from weakmask.methods.dram.pseudo_labels import pseudo_labels
from weakmask.methods.dram.regression import regression
from weakmask.methods.dram.telling import conclude
from weakmask.methods.dram.vessels import vessels
from weakmask.pipeline import Stage
from weakmask.region_learning.prepare import prepare

CROPS = ("device", "data", "prepare")
STAGES = (
    Stage("prepare", prepare, settings=CROPS),
    Stage(
        "vessels",
        vessels,
        after=("prepare",),
        settings=("seed", "device", "prepare", "network", "vessels", "regression", "refinement.weight"),
        resumable=True,
    ),
    Stage(
        "regression",
        regression,
        after=("prepare", "vessels"),
        settings=("seed", *CROPS, "network", "losses", "vessels", "refinement", "regression"),
        resumable=True,
    ),
    Stage("model", model, after=("prepare", "regression")),
    Stage("pseudo-labels", pseudo_labels, after=("prepare", "vessels", "model")),
    Stage("context-model", context_network, after=("prepare", "model", "pseudo-labels"), resumable=True),
    Stage("maps", maps, after=("prepare", "model", "context-model")),
    Stage("evaluation", judge, after=("prepare", "maps")),
)

__all__ = ["STAGES", "DramSettings", "conclude"]
