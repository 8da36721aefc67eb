"""The run of a lobe network for a person: results.csv and summary.csv at its root, and report.html."""

from dataclasses import replace
from functools import partial

from weakmask.csv_table import read_csv
from weakmask.methods.lobes.config import TITLES, LobeSettings
from weakmask.methods.lobes.evaluate_run import LOBES, evaluated_scans
from weakmask.methods.lobes.scans import LobeScan
from weakmask.pipeline import Run
from weakmask.report.page import Page, ScanView
from weakmask.volume.files import read_volume

CITATIONS = {
    "pdv_net": "Imran A-A-Z, Hatamizadeh A, Ananth SP, Ding X, Tajbakhsh N, Terzopoulos D. Fast and automatic "
    "segmentation of pulmonary lobes from chest CT using a progressive dense V-network. arXiv 1902.06362, 2019.",
    "dense_v_net": "Gibson E, Giganti F, Hu Y, et al. Automatic multi-organ segmentation on abdominal CT with dense "
    "V-networks. IEEE Trans Med Imaging 37(8), 2018.",
    "v_net": "Milletari F, Navab N, Ahmadi S-A. V-Net: fully convolutional neural networks for volumetric medical "
    "image segmentation. 3DV 2016. Built of MONAI's blocks.",
    "unet": "Ronneberger O, Fischer P, Brox T. U-Net. MICCAI 2015. Slice by slice.",
}
MOST_SCANS = 8  # shown in a report; the worst


def run_page(run: Run[LobeSettings]) -> Page:
    """The report of a finished run; its table is the summary.

    Raises:
        UserError: The run is not finished.
    """
    config = run.config
    results = read_csv(run.stage("evaluation") / "results.csv")
    summary = read_csv(run.stage("evaluation") / "summary.csv")
    dice, seen = summary.iloc[0], "it was trained on" if config.data.seen else "it has not seen"
    ordered = results.sort_values("mean").to_dict("records")
    scans = {scan.name: scan for scan in evaluated_scans(config)}
    return Page(
        title=f"Lobes by {TITLES[config.network.name]}: {run.folder.name}",
        summary=f"Mean Dice of the five lobes {dice['mean']:.3f} on {dice['scans']} scans {seen}.",
        tiles=(("scans", str(dice["scans"])), *((name, f"{dice[name]:.3f}") for name in (*LOBES, "mean"))),
        views=[partial(_view, run, scans[row["scan"]], row["mean"]) for row in ordered[:MOST_SCANS]],
        scans={row["scan"]: partial(_compared, run, scans[row["scan"]], row["mean"]) for row in ordered},
        curves=read_csv(run.stage("segmentation") / "curves.csv"),
        config=config.model_dump(mode="json"),
        methods_text=_methods_text(config),
        provenance=run.manifest(),
    )


def _view(run: Run[LobeSettings], scan: LobeScan, dice: float) -> ScanView:
    image, _ = scan.load()
    config = run.config
    percentiles = config.prepare.grey_values == "percentiles"
    grey = (float(image.voxels.min()), float(image.voxels.max())) if percentiles else config.prepare.window
    lobes = read_volume(run.stage("evaluation") / "masks" / f"{scan.name}.nii.gz", "label")
    return ScanView(scan.name, image, grey, regions=lobes, headline=f"Dice {dice:.3f}", rank=dice)


def _compared(run: Run[LobeSettings], scan: LobeScan, dice: float) -> ScanView:
    """A scan with its lobes as a mask, and the true ones."""
    view, (_, truth) = _view(run, scan, dice), scan.load()
    return replace(view, mask=view.regions, truth=truth, regions=None)


def _methods_text(config: LobeSettings) -> str:
    prepare, settings, data = config.prepare, config.segmentation, config.data
    shape = " x ".join(map(str, prepare.shape))
    source = f"{data.phantoms} chest CT phantoms" if data.cohort is None else "scans with lobe masks"
    span = "the whole scan" if prepare.frame == "scan" else f"the lungs and {prepare.margin_mm:g} mm around them"
    blank = "; voxels outside the lungs were blanked" if prepare.outside == "blank" else ""
    beside = f" and cross-entropy (weight {settings.cross_entropy:g})" if settings.cross_entropy else ""
    training = (
        f"A {TITLES[config.network.name]} was trained on {source}. {span.capitalize()} was brought upright to {shape} "
        f"voxels{blank}. The loss was the soft Dice over background and five lobes{beside}; Adam at "
        f"{settings.learning_rate:g} ({settings.schedule}), weight decay {settings.weight_decay:g}, {settings.steps} "
        f"steps of {settings.batch} scans, seed {config.seed}."
    )
    cleaning = (
        "Of each lobe the largest piece was kept; every voxel of the lungs, found by threshold, took a lobe of its "
        "side, and no other voxel did."
        if config.masks.confine == "lungs"
        else "Of each lobe the largest piece was kept and holes were filled."
    )
    return "\n\n".join([training, cleaning, CITATIONS[config.network.name]])
