"""Texts of WSMIS for reports."""

from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.networks.backbones import LEVELS

TITLE = "WSMIS"
CITATION = (
    "Method: Viniavskyi O, Dobko M, Dobosevych O. Weakly-Supervised Segmentation for Disease Localization in Chest "
    "X-Ray Images. AIME 2020 (arXiv 2007.00748). CAM: Zhou B et al. CVPR 2016. Grad-CAM++: Chattopadhay A et al. WACV "
    "2018. CRF: Kraehenbuehl P, Koltun V. NeurIPS 2011. Boundaries and walk: Ahn J, Cho S, Kwak S. CVPR 2019."
)


def methods_text(config: WsmisSettings) -> str:
    """Paragraphs that say what was done with which numbers."""
    network, training, maps, labels = config.network, config.classification, config.maps, config.labels
    any_class = (
        ", half of them without any; one more output learnt whether there is any class (weight "
        f"{training.any_class:g}), and an image of one class has its map"
        if training.any_class
        else ""
    )
    whole = network.levels == LEVELS
    backbone = f"A {network.backbone}" if whole else f"The {network.levels} finest levels of {network.backbone}"
    stride = f" at stride {network.stride}" if whole else ""
    highest = (
        "" if network.pooled == 1 else f"; a logit was the mean of the highest {100 * network.pooled:g} % of a map"
    )
    classifier = (
        f"Images were resized to {config.prepare.side} x {config.prepare.side} pixels. {backbone} (weights: "
        f"{network.weights}; levels up to stride {network.frozen_stride} frozen){stride} learnt the "
        f"classes of whole images by binary cross-entropy in {training.steps} steps of {training.batch} images with "
        f"{training.optimiser}, learning rate {training.learning_rate:g} ({training.head_factor:g} times it in new "
        f"layers), seed {config.seed}{highest}; images were drawn equally often from each combination of "
        f"classes{any_class}."
    )
    sizes = ", ".join(f"{scale:g}" for scale in maps.scales)
    trust = "the maps' values" if labels.confidence is None else f"confidence {labels.confidence:g}"
    crf = (
        f"a dense CRF refined them (sigma of space {labels.appearance_space:g} pixels of {labels.reference_side:g}, "
        f"of colour {labels.appearance_intensity:g}, from {trust})"
        if labels.crf
        else "they were not refined"
    )
    walk = (
        f" Maps above {config.boundary.seeds:g} walked {config.boundary.walk_steps} steps within the boundaries of a "
        "boundary network."
        if config.boundary.train
        else ""
    )
    cut = f"{labels.threshold:g} of their {maps.rescale}"
    if labels.region == "sharpest":
        cut = "the level whose outline around the maximum has the greatest contrast"
    shade = "" if labels.shade == "any" else f", weighted towards {labels.shade} pixels"
    labelling = (
        f"Maps ({maps.variant}) of the classes present were averaged over the sizes {sizes}"
        f"{' and mirror images' if maps.mirror else ''}{shade} and cut at {cut}; {crf}.{walk}"
    )
    learnt = config.segmentation
    segmentation = (
        f"A {learnt.network} on the same backbone learnt these labels by cross-entropy in {learnt.rounds} "
        f"round{'s' if learnt.rounds > 1 else ''} of {learnt.steps} steps of {learnt.batch} images with "
        f"{learnt.optimiser}, learning rate {learnt.learning_rate:g}. An image stays empty where the classifier finds "
        "no class probable enough."
    )
    if config.labels.region == "sharpest" and learnt.rounds > 1:
        segmentation += " Each further round learnt such regions of the probability that the network before had found."
    if config.masks.region == "sharpest":
        segmentation += " A mask is the region of the network's probability that was chosen in the same way."
    return f"{classifier}\n\n{labelling}\n\n{segmentation}\n\n{CITATION}"
