"""The report of the supervised method."""

from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.run_report import ReportText, preparation_text

ROW = "supervised U-Net"
CITATION = (
    "Network as in: Xie W, Jacobs C, Charbonnier J-P, van Ginneken B. Dense Regression Activation Maps For Lesion "
    "Segmentation in CT scans of COVID-19 patients. arXiv 2105.11748, 2021. Dice loss: Milletari F, Navab N, Ahmadi "
    "S-A. V-Net. 3DV 2016."
)


def report_text(config: SupervisedSettings) -> ReportText:
    """Texts of the supervised method for its report."""
    return ReportText(
        title="Supervised U-Net",
        row=ROW,
        learned="trained from true masks",
        training="segmentation",
        methods_text=methods_text(config),
    )


def methods_text(config: SupervisedSettings) -> str:
    """Paragraphs that say what was done with which numbers."""
    settings, losses = config.segmentation, config.losses
    drawing = "uniformly over the scores" if settings.sampling == "balanced" else "uniformly over the regions"
    dimensions, width = dimensions_of(config.prepare), config.network.width
    training = (
        f"A {dimensions}-D U-Net with {width} channels at its first level was trained "
        f"on true lesion masks with cross-entropy (weight {losses.cross_entropy:g}) and soft Dice (weight "
        f"{losses.dice:g}) inside the region; regions were drawn {drawing}. It took {settings.steps} steps of "
        f"{settings.batch} crops with {settings.optimiser} at a learning rate of {settings.learning_rate:g} "
        f"({settings.schedule}), seed {config.seed}."
    )
    scales = ", ".join(f"{scale:g}" for scale in config.maps.scales)
    inference = (
        f"Maps were averaged over the scales {scales}, put back onto the scan's own grid and cut at "
        f"{config.maps.threshold:g}. The share of marked voxels in a region gave its severity score."
    )
    return "\n\n".join([preparation_text(config.prepare), training, inference, CITATION])
