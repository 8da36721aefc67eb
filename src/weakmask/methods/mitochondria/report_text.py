"""Texts of the method for reports."""

from weakmask.methods.mitochondria.config import MitochondriaSettings

TITLE = "Mitochondria"
NAMES = {"r": "Res-UNet-R", "h": "Res-UNet-H", "h_paper": "Res-UNet-R with a decoder per target"}
CITATION = (
    "Method: Li M, Chen C, Liu X, Huang W, Zhang Y, Xiong Z. Advanced Deep Networks for 3D Mitochondria Instance "
    "Segmentation. ISBI 2022 (arXiv 2104.07961). Scores: Wei D et al. MitoEM Dataset. MICCAI 2020."
)


def methods_text(config: MitochondriaSettings) -> str:
    """Paragraphs that say what was done with which numbers."""
    train, targets, network = config.train, config.targets, config.network
    working = (
        "" if config.prepare.pixel_nm is None else f" Pixels were averaged to about {config.prepare.pixel_nm:g} nm."
    )
    widths = f" with {', '.join(map(str, network.widths))} channels" if network.widths else ""
    fine = (
        f", then {train.fine_steps} steps with patches of {_sides(train.fine_patch)} voxels" if train.fine_steps else ""
    )
    training = (
        f"A {NAMES[network.architecture]}{widths} (norm: {network.norm}) learnt two targets, the mask of mitochondria "
        f"and the contour of each within sections ({targets.contour_nm:g} nm on both sides of a border), by weighted "
        f"cross-entropy.{working} It took {train.steps} steps of {train.batch} patches of {_sides(train.patch)} voxels"
        f"{fine}, with {train.optimiser}, learning rate {train.learning_rate:g} "
        f"({train.schedule}), seed {config.seed}; {train.foreground:.0%} of the patches lay around a mitochondrion."
    )
    decoder = config.decoder
    chosen = "chosen on validation sections" if decoder.search else "those of the settings"
    decoding = (
        f"Probabilities of overlapping windows of {_sides(config.predict.window)} voxels were averaged with Gaussian "
        f"weights ({config.predict.views} view{'s' if config.predict.views > 1 else ''}). Instances were made by "
        f"{decoder.method}; thresholds and the least size were {chosen}."
    )
    return f"{training}\n\n{decoding}\n\n{CITATION}"


def _sides(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
