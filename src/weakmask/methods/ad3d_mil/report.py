"""The report of AD3D-MIL."""

from weakmask.methods.ad3d_mil.config import AD3DMILSettings
from weakmask.pipeline import Run
from weakmask.region_learning.bag_report import bag_page, mask_text, training_text
from weakmask.region_learning.run_report import ReportText, preparation_text
from weakmask.report.page import Page

ROW = "AD3D-MIL"
CITATION = (
    "Method: Han Z, Wei B, Hong Y, et al. Accurate Screening of COVID-19 Using Attention-Based Deep 3D Multiple "
    "Instance Learning. IEEE TMI 39(8), 2020. Attention: Ilse M, Tomczak J, Welling M. ICML 2018. Built from the "
    "numbers of the released code."
)


def report_text(config: AD3DMILSettings) -> ReportText:
    """Texts of the method for its report."""
    map_of = {"instance": "the probability that the last layer gives each instance", "attention": "their attention"}
    network = (
        f"AD3D-MIL (315,378 weights in 3-D) took each crop as a bag of instances, pooled by {config.network.pooling}. "
        f"Its lesion map is {map_of[config.maps.of]}."
    )
    training, masks = training_text(config.prepare, config.classification, config.seed), mask_text(config.maps)
    parts = (preparation_text(config.prepare), network, training, masks, CITATION)
    return ReportText("AD3D-MIL", ROW, "trained from a yes or no per region", "classification", "\n\n".join(parts))


def run_page(run: Run[AD3DMILSettings]) -> Page:
    """The report of a run, with the AUC of its classifier."""
    return bag_page(run, report_text(run.config), ["classification"])
