"""The run of a lobe network for a person: results.csv and summary.csv at its root, and report.html."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.methods.lobes.config import LobeSettings
from weakmask.methods.lobes.evaluate_run import LOBES, judged_scans
from weakmask.methods.lobes.scans import LobeScan
from weakmask.pipeline import read_manifest, stage_folder
from weakmask.report.page import Page, ScanView, write_report
from weakmask.volume.files import read_volume

TITLES = {"pdv_net": "PDV-Net", "dense_v_net": "dense V-Net", "v_net": "V-Net", "unet": "2-D U-Net"}
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


def conclude(run: Path, config: LobeSettings) -> pd.DataFrame:
    """Write the tables and report.html at the run's root and return the summary."""
    results = pd.read_csv(stage_folder(run, "evaluation") / "results.csv", dtype={"scan": str})
    summary = _summary(results, TITLES[config.network.name])
    for name, table in (("results.csv", results), ("summary.csv", summary)):
        with atomic_file(run / name) as temporary:
            table.to_csv(temporary, index=False)
    dice, seen = summary.iloc[0], "it was trained on" if config.data.seen else "it has not seen"
    worst = results.sort_values("mean").head(MOST_SCANS)
    scans = {scan.name: scan for scan in judged_scans(config)}
    page = Page(
        title=f"Lobes by {TITLES[config.network.name]}: {run.name}",
        summary=f"Mean Dice of the five lobes {dice['mean']:.3f} on {dice['scans']} scans {seen}.",
        tiles=(("scans", str(dice["scans"])), *((name, f"{dice[name]:.3f}") for name in (*LOBES, "mean"))),
        views=[_shown(run, config, scans[row["scan"]], row["mean"]) for row in worst.to_dict("records")],
        curves=pd.read_csv(stage_folder(run, "segmentation") / "curves.csv"),
        config=config.model_dump(mode="json"),
        methods_text=_methods_text(config),
        provenance=read_manifest(run),
    )
    write_report(run / "report.html", page)
    return summary


def _summary(results: pd.DataFrame, row: str) -> pd.DataFrame:
    """One row: mean Dice per lobe and over all."""
    means = results[[*LOBES, "mean"]].mean()
    return pd.DataFrame([{"method": row, "scans": len(results), **means, "implausible": (results["faults"] > 0).sum()}])


def _shown(run: Path, config: LobeSettings, scan: LobeScan, dice: float) -> Callable[[], ScanView]:
    return partial(_view, run, config, scan, dice)


def _view(run: Path, config: LobeSettings, scan: LobeScan, dice: float) -> ScanView:
    image, _ = scan.load()
    percentiles = config.prepare.grey_values == "percentiles"
    grey = (float(image.voxels.min()), float(image.voxels.max())) if percentiles else config.prepare.window
    lobes = read_volume(stage_folder(run, "evaluation") / "masks" / f"{scan.name}.nii.gz", "label")
    return ScanView(scan.name, image, grey, regions=lobes, headline=f"Dice {dice:.3f}", rank=dice)


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
