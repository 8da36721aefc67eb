"""The report of the CAM baseline."""

from weakmask.methods.cam.config import CamSettings
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.run_report import ReportText, preparation_text

RAW_ROW, REFINED_ROW = "CAM raw", "CAM + refine"
CITATION = (
    "Zhou B, Khosla A, Lapedriza A, Oliva A, Torralba A. Learning Deep Features for Discriminative Localization. CVPR "
    "2016. Baseline as in: Xie W, Jacobs C, Charbonnier J-P, van Ginneken B. Dense Regression Activation Maps For "
    "Lesion Segmentation in CT scans of COVID-19 patients. arXiv 2105.11748, 2021."
)


def report_text(config: CamSettings) -> ReportText:
    """Texts of the CAM baseline for its report."""
    return ReportText(
        title="CAM baseline",
        row=row_of(refine=config.maps.refine),
        learned="trained from a yes or no per region",
        training="classification",
        methods_text=methods_text(config),
    )


def row_of(*, refine: bool) -> str:
    """The row of the paper's ablation (Table IV b)."""
    return REFINED_ROW if refine else RAW_ROW


def methods_text(config: CamSettings) -> str:
    """Paragraphs that say what was done with which numbers."""
    settings = config.classification
    scales = ", ".join(f"{scale:g}" for scale in config.maps.scales)
    refined = ""
    if config.maps.refine:
        refined = " and kept inside the lesion proposal: high attenuation by Otsu's threshold inside the regions"
        if config.maps.exclude_vessels:
            refined += ", without the vessels that a Frangi filter and Otsu's threshold mark"
    dimensions, width = dimensions_of(config.prepare), config.network.width
    training = (
        f"A {dimensions}-D classifier (the down-sampling path of a U-Net with {width} "
        "channels at its first level, global average pooling, one linear layer) was trained to tell regions with "
        f"lesions from regions without, by binary cross-entropy, for {settings.steps} steps of {settings.batch} crops "
        f"with {settings.optimiser} at a learning rate of {settings.learning_rate:g} ({settings.schedule}), seed "
        f"{config.seed}."
    )
    inference = (
        f"Class activation maps were averaged over the scales {scales}, put back onto the scan's own grid, rescaled to "
        f"[0, 1] over the scan and cut by Otsu's threshold{refined}. The share of marked voxels in a region gave its "
        "severity score."
    )
    return "\n\n".join([preparation_text(config.prepare), training, inference, CITATION])
