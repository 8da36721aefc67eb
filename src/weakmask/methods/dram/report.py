"""The report of dRAM, with a methods paragraph for the draft of a paper."""

from collections.abc import Mapping

from weakmask.methods.dram.config import DramSettings
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.run_report import ReportText, preparation_text

CITATION = (
    "Xie W, Jacobs C, Charbonnier J-P, van Ginneken B. Dense Regression Activation Maps For Lesion Segmentation in CT "
    "scans of COVID-19 patients. arXiv 2105.11748, 2021."
)


def report_text(config: DramSettings, manifest: Mapping[str, object] | None = None) -> ReportText:
    """Texts of dRAM for its report.

    Args:
        config: The resolved settings.
        manifest: The run's manifest; None where there is none.
    """
    return ReportText(
        title="dRAM",
        row=row_of(config),
        learned="trained from scores and masks of some scans" if config.true_masks.use else "trained from scores alone",
        training="regression",
        methods_text=methods_text(config, manifest or {}),
    )


def row_of(config: DramSettings) -> str:
    """The row of the paper's ablation that the settings make, or the name of our own variant."""
    row = _row_of_scores(config)
    return f"{row}, with masks" if config.true_masks.use else row


def _row_of_scores(config: DramSettings) -> str:
    """The row of the settings that concern scores."""
    refinement = config.refinement
    if config.context.train:
        return "dRAM complete" if refinement.weight else "dRAM + context"
    if refinement.weight and refinement.anchor.until:
        return "dRAM anchored"
    if refinement.weight and config.vessels.suppress:
        return "dRAM + vessel suppression"
    if refinement.weight:
        return "dRAM + attention" if refinement.attention else "dRAM + refine"
    regularised = config.losses.equivariance > 0 or config.losses.entropy > 0
    return "dRAM + regularizer" if regularised else "dRAM raw"


def methods_text(config: DramSettings, manifest: Mapping[str, object]) -> str:
    """Paragraphs that say what was done with which numbers.

    Args:
        config: The resolved settings.
        manifest: The run's manifest; empty where there is none.
    """
    version = f" (weakmask {manifest['weakmask']})" if "weakmask" in manifest else ""
    return "\n\n".join(
        [preparation_text(config.prepare), _training(config) + version + ".", _inference(config), CITATION]
    )


def _training(config: DramSettings) -> str:
    losses, settings = config.losses, config.regression
    dimensions = dimensions_of(config.prepare)
    terms = [f"interval regression of the mean activation inside the region (weight {losses.regression:g})"]
    if losses.equivariance:
        terms.append(
            f"equivariance under resizing by {losses.move_scale[0]:g}-{losses.move_scale[1]:g} and rotation within "
            f"{losses.move_degrees:g} degrees (weight {losses.equivariance:g})"
        )
    if losses.entropy:
        terms.append(f"binary entropy (weight {losses.entropy:g})")
    if config.refinement.weight:
        terms.append(_refinement(config))
    drawn_over = {"balanced": "scores", "uniform": "regions", "patients": "patients"}[settings.sampling]
    return (
        f"A {dimensions}-D U-Net with {config.network.width} channels at its first level was trained on the scores "
        f"{_labels(config)} with {', '.join(terms)}; regions were weighted by the inverse frequency of their "
        f"score, drawn uniformly over the {drawn_over}, and "
        f"{'augmented' if settings.augment else 'not augmented'}. It took {settings.steps} steps of {settings.batch} "
        f"crops with {settings.optimiser} at a learning rate of {settings.learning_rate:g} ({settings.schedule}), "
        f"seed {config.seed}"
    )


def _labels(config: DramSettings) -> str:
    """The labels beside the scores."""
    masks = config.true_masks
    if not masks.use:
        return "alone"
    return (
        f"and, in {100 * masks.share:.0f} % of each batch, on true masks (cross-entropy and soft Dice, a half each, "
        f"weight {masks.weight:g}),"
    )


def _refinement(config: DramSettings) -> str:
    settings, crf = config.refinement, config.refinement.crf
    without = ", with the vessels taken out," if config.vessels.suppress else ""
    branch = "a local attention branch" if settings.attention else "the map itself"
    return (
        f"a bootstrapping cross-entropy (beta {settings.beta:g}, weight {settings.weight:g}) of {branch} against the "
        f"map{without} after a dense CRF (smoothness {crf.smoothness_mm:g} mm, weight {crf.smoothness_weight:g}; "
        f"appearance {crf.appearance_mm:g} mm and {crf.appearance_window:g} of the window, weight "
        f"{crf.appearance_weight:g}; {crf.iterations} iterations){_anchor(config)}"
    )


def _anchor(config: DramSettings) -> str:
    settings, text = config.refinement, ""
    if settings.keep_to_scores:
        text += ", cut where the fraction of each region falls into the interval of its score"
    if settings.anchor.until:
        text += (
            f"; for the first {100 * settings.anchor.until:.0f} % of the steps the target was cut so from the image "
            f"itself after a grey opening of {settings.anchor.opening_voxels} voxels"
        )
    return text + (f", with soft Dice beside it (weight {settings.dice:g})" if settings.dice else "")


def _inference(config: DramSettings) -> str:
    scales = ", ".join(f"{scale:g}" for scale in config.maps.scales)
    chosen = config.maps.threshold
    cut = "at the threshold that fits the training scores best" if chosen == "scores" else f"at {chosen:g}"
    return (
        f"Activation maps were averaged over the scales {scales}, put back onto the scan's own grid and cut {cut}. "
        f"{_context(config)}The share of marked voxels in a region gave its severity score."
    )


def _context(config: DramSettings) -> str:
    settings = config.context
    if not settings.train:
        return ""
    grid = f"{settings.spacing_mm:g} mm" if settings.spacing_mm else "the spacing of the training scans"
    seen = "the regions of whole scans" if settings.inside_only else "whole scans"
    overlap = f" and soft Dice (weight {settings.dice:g})" if settings.dice else ""
    made = ", sharpened by the dense CRF" if settings.crf else ""
    made += " and kept to each region's score" if settings.keep_to_scores else ""
    return (
        f"The masks of the training scans{made} were the pseudo-labels (background, vessel, lesion) of a second U-Net "
        f"with {settings.padding} convolutions and {settings.width} channels at its first level, which saw {seen} "
        f"at {grid} in windows that answer for {settings.window_voxels} voxels along each axis; {settings.steps} steps "
        f"of {settings.batch}, bootstrapping cross-entropy (beta {settings.beta:g}){overlap}. Its most probable class "
        "is the answer. "
    )
