"""The evaluation stage: the model's lobes of the test scans, and their Dice per lobe."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.evaluation.overlap import Overlap
from weakmask.memory import memory_for
from weakmask.methods.lobes.config import TITLES, LobeSettings
from weakmask.methods.lobes.scans import LobeScan, checked, folder_scans, learning_scans, split_scans
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

LOBES = NUMBERINGS["weakmask"]


def evaluate(work: Work) -> None:
    """Write masks/NAME.nii.gz, results.csv and summary.csv; a faulty scan is left out and noted."""
    config: LobeSettings = work.config
    model = load_lobe_model(work.stage("model") / MODEL, device_of(config.device))
    scans = evaluated_scans(config)
    rows: list[dict[str, object]] = []
    for scan in track(scans, "evaluation", len(scans)):
        for file in scan.files:
            work.hash_input(file)
        try:
            with memory_for(scan.name, in_stage=True):
                image, truth = checked(scan, hounsfield=config.prepare.grey_values == "hounsfield")
                found = find_lobes(model, image)
        except UserError as error:
            work.note(f"left out {scan.name}: {error}")
            continue
        for fault in found.faults:
            work.note(f"{scan.name}: {fault}")
        write_volume(found.lobes, work.out / "masks" / f"{scan.name}.nii.gz")
        identity = {"scan": scan.name, "patient": scan.patient or scan.name}
        rows.append({**identity, **lobe_dice(found.lobes, truth), "faults": len(found.faults)})
    results = pd.DataFrame(rows, columns=["scan", "patient", *LOBES, "mean", "faults"])
    write_csv(results, work.out / "results.csv")
    means, implausible = results[[*LOBES, "mean"]].mean(), sum(faults > 0 for faults in results["faults"])
    summary = {"method": TITLES[config.network.name], "scans": len(results), **means, "implausible": implausible}
    write_csv(pd.DataFrame([summary]), work.out / "summary.csv")


def evaluated_scans(config: LobeSettings) -> list[LobeScan]:
    """The scans of the test folder, else those kept for validation."""
    if config.data.test is not None:
        return folder_scans(config.data.test, config.data.numbering)
    scans = learning_scans(config)
    watched = set(split_scans(scans, config).validation)
    return [scan for scan in scans if scan.name in watched]


def lobe_dice(found: Volume, truth: Volume) -> Mapping[str, float]:
    """Dice of each lobe by name, nan for a lobe that neither has, and the mean of the other lobes."""
    size = 1 + max(LOBES.values())
    pairs = np.bincount(found.voxels.ravel().astype(np.int64) * size + truth.voxels.ravel(), minlength=size**2)
    table = pairs.reshape(size, size)
    dice = {}
    for name, label in LOBES.items():
        both = int(table[label, label])
        dice[name] = Overlap(tp=both, fp=int(table[label].sum()) - both, fn=int(table[:, label].sum()) - both).dice
    known = [value for value in dice.values() if not np.isnan(value)]
    return {**dice, "mean": float(np.mean(known)) if known else float("nan")}
