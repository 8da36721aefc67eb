"""The report of DeCoVNet."""

from weakmask.methods.decovnet.config import DeCoVNetSettings
from weakmask.pipeline import Run
from weakmask.region_learning.bag_report import bag_page, mask_text, training_text
from weakmask.region_learning.run_report import ReportText, preparation_text
from weakmask.report.page import Page

ROW = "DeCoVNet"
CITATION = (
    "Method: Wang X, Deng X, Fu Q, et al. A Weakly-Supervised Framework for COVID-19 Classification and Lesion "
    "Localization From Chest CT. IEEE TMI 39(8), 2020. Built from the numbers of the released code."
)


def report_text(config: DeCoVNetSettings) -> ReportText:
    """Texts of the method for its report."""
    network = (
        "DeCoVNet (346,978 weights in 3-D) took each crop and the mask of its region as two channels. Its lesion map "
        "is the sum of the trunk's features, weighted by both linear layers and the means of the kernels, after ReLU."
    )
    training, masks = training_text(config.prepare, config.classification, config.seed), mask_text(config.maps)
    parts = (preparation_text(config.prepare), network, training, masks, CITATION)
    return ReportText("DeCoVNet", ROW, "trained from a yes or no per region", "classification", "\n\n".join(parts))


def run_page(run: Run[DeCoVNetSettings]) -> Page:
    """The report of a run, with the AUC of its classifier."""
    return bag_page(run, report_text(run.config), ["classification"])
