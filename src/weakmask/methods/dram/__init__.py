"""Dense regression activation maps: from a severity score per region to a lesion mask.

Xie, Jacobs, Charbonnier, van Ginneken, "Dense Regression Activation Maps For Lesion Segmentation in CT scans of
COVID-19 patients", 2021, arXiv 2105.11748. The files are the stages, in this order:

`region_learning.prepare`  cohort -> one crop per scored region
`vessels`                  crops without lesions -> vessel network -> vessels of all crops
`regression`               crops and score intervals -> network (interval regression, equivariance, entropy, refinement)
`maps` (`model`)           network -> model file, with the threshold of the maps
`pseudo_labels`            model and training scans -> lesion, vessel and background of their voxels
`context_training`         scans and pseudo-labels -> context network and its model file
`maps`                     the last model file and scans -> activation maps, masks, scores, and their tables
`report`                   the run for a reader
"""

from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.context_training import context_network
from weakmask.methods.dram.maps import evaluate, load, maps, model, model_stage
from weakmask.methods.dram.pseudo_labels import pseudo_labels
from weakmask.methods.dram.regression import regression
from weakmask.methods.dram.report import report_text
from weakmask.methods.dram.vessels import asks_for_vessels, vessels
from weakmask.methods.method import Method
from weakmask.pipeline import Stage
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.run_report import run_page

CROPS = ("device", "data", "prepare")


def _without_context(config: DramSettings) -> bool:
    return not config.context.train


METHOD = Method(
    title="lesion masks from a severity score per region",
    paper="Xie et al. 2021, arXiv 2105.11748",
    labels="an interval of the lesion fraction per region (0-5 per lobe)",
    settings=DramSettings,
    stages=(
        Stage("prepare", prepare, settings=CROPS),
        Stage(
            "vessels",
            vessels,
            after=("prepare",),
            settings=("seed", "device", "prepare", "network", "vessels", "regression", "refinement.weight"),
            resumable=True,
            off=lambda config: not asks_for_vessels(config),
        ),
        Stage(
            "regression",
            regression,
            after=("prepare", "vessels"),
            settings=("seed", *CROPS, "network", "losses", "vessels", "refinement", "true_masks", "regression"),
            resumable=True,
        ),
        Stage("model", model, after=("prepare", "regression")),
        Stage("pseudo-labels", pseudo_labels, after=("prepare", "vessels", "model"), off=_without_context),
        Stage(
            "context-model",
            context_network,
            after=("prepare", "model", "pseudo-labels"),
            resumable=True,
            off=_without_context,
        ),
        Stage("maps", maps, after=("prepare", "model", "context-model")),
        Stage("evaluation", evaluate, after=("prepare", "maps")),
    ),
    report=lambda run: run_page(run, report_text(run.config, run.manifest())),
    load=load,
    model_stage=model_stage,
)

__all__ = ["METHOD", "DramSettings"]
