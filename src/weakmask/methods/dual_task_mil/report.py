"""The report of dual-task MIL."""

from weakmask.methods.dual_task_mil.config import DualTaskSettings
from weakmask.pipeline import Run
from weakmask.region_learning.bag_report import bag_page
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.run_report import ReportText, preparation_text
from weakmask.report.page import Page

ROWS = {"grad-cam": "Grad-CAM", "patches": "dual-task MIL, patches", "segmentation": "dual-task MIL"}
CITATION = (
    "Method: Wang Y. Dual-task mutual learning for weakly-supervised COVID-19 lesion segmentation from chest CT "
    "(abstract). Grad-CAM: Selvaraju RR et al. ICCV 2017. From easy to hard: Kumar MP, Packer B, Koller D. Self-paced "
    "learning for latent variable models. NIPS 2010. Bootstrapping: Reed S et al. arXiv 1412.6596. The abstract names "
    "the steps and patches of 5 x 5; networks, losses and thresholds are this package's."
)


def report_text(config: DualTaskSettings) -> ReportText:
    """Texts of the method for its report."""
    return ReportText(
        title="Dual-task MIL",
        row=ROWS[config.maps.of],
        learned="trained from a yes or no per region",
        training="classification",
        methods_text=methods_text(config),
    )


def run_page(run: Run[DualTaskSettings]) -> Page:
    """The report of a run, with the AUC of its classifier."""
    stages = ["classification", "patches"]
    if run.config.maps.of == "segmentation":
        stages.append("segmentation")
    return bag_page(run, report_text(run.config), stages)


def methods_text(config: DualTaskSettings) -> str:
    """Paragraphs that say what was done with which numbers."""
    learnt, cut, fine = config.classification, config.patches, config.segmentation
    classifier = (
        f"A {dimensions_of(config.prepare)}-D classifier ({config.network.width} channels at its first level) was "
        "trained to tell regions with lesions from regions without, by binary cross-entropy, for "
        f"{learnt.steps} steps of {learnt.batch} crops at a learning rate of {learnt.learning_rate:g}, seed "
        f"{config.seed}; yes and no came in turn, and within each all patients equally often. Grad-CAM of its last "
        f"features was divided by one scale, the {config.grad_cam.quantile:g} quantile over the training regions."
    )
    first = (
        "Grad-CAM gave the first labels, and patches joined from easy to hard"
        if cut.start == "grad-cam"
        else "each patch had the label of its region"
    )
    anchored = f", with the opened picture in the logit (weight {cut.anchor:g})" if cut.anchor else ""
    instances = (
        f"An instance network that sees 13 voxels learnt patches of {cut.size} voxels a side{anchored}, in {cut.steps} "
        f"steps of {cut.batch} crops: {first}; all patches of regions without lesions were healthy."
    )
    if config.maps.of == "grad-cam":
        instances = ""
    network = (
        f"Its maps, cut, were the labels of a U-Net (bootstrapping with beta {fine.beta:g}, soft Dice with weight "
        f"{fine.dice:g}, {fine.steps} steps of {fine.batch} crops)"
        f"{'; both steps were repeated from the maps of the U-Net' if config.rounds > 1 else ''}."
    )
    if config.maps.of != "segmentation":
        network = ""
    masks = (
        "Maps were cut at the lowest value at which half of the held-out regions without lesions have less than 1 % "
        "marked; no mask was used."
    )
    return "\n\n".join(
        part for part in (preparation_text(config.prepare), classifier, instances, network, masks, CITATION) if part
    )
