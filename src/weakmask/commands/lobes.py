"""`weakmask lobes`: scans -> masks of their lobes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.commands.job_names import Naming
from weakmask.commands.output_folder import open_output
from weakmask.commands.scan_jobs import ScanJob, each_scan, find_jobs, outputs_of
from weakmask.errors import MachineError, UserError
from weakmask.regions.find_lobes import FoundLobes, find_lobes
from weakmask.regions.lobe_model import LobeModel, load_lobe_model
from weakmask.terminal import say
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, refuse_nonfinite, write_volume
from weakmask.volume.scan_files import ScanFile

LOBES = NUMBERINGS["weakmask"]


@dataclass(frozen=True)
class WrittenLobes:
    """Result of `write_lobe_masks`.

    Attributes:
        table: One row per scan: litres of both lungs, each lobe's share of them, and whether it looks plausible.
        failures: A line for each scan that was left out.
    """

    table: pd.DataFrame
    failures: tuple[str, ...]


def write_lobe_masks(
    scans: Sequence[Path | ScanFile], out: Path, model: Path | None, device: str = "auto", naming: Naming = "path"
) -> WrittenLobes:
    """Write OUT/NAME.nii.gz for every scan; a faulty scan is named in one line and the others go on.

    Args:
        scans: Files, DICOM folders, or folders of scans; or scans that `chosen_scans` found.
        out: The folder to write; `regions/` of a cohort, for instance.
        model: A model file or a run folder; None: the model that comes with the package.
        device: auto, cpu, cuda or mps.
        naming: Source of the names, see `names_of`.

    Raises:
        UserError: No such model, no scan, an output that cannot be written or would replace a file of the user's, or
            every scan failed.
    """
    trained = load_lobe_model(model, device_of(device))
    jobs, twice = find_jobs(scans, lambda name, _: {"mask": out / f"{name}.nii.gz"}, naming)
    folder = open_output(out, "lobes", outputs_of(jobs), [job.image for job in jobs])
    try:
        done = each_scan(jobs, "lobes", partial(_write_lobes, trained))
    except (UserError, MachineError):
        folder.forget()
        raise
    return WrittenLobes(pd.DataFrame([row for _, row in done.results]), (*twice, *done.failures))


def lobe_row(name: str, found: FoundLobes) -> dict[str, object]:
    """Litres of both lungs, each lobe's share of them, and whether the lobes look plausible."""
    counts = np.bincount(found.lobes.voxels.ravel(), minlength=1 + max(LOBES.values()))
    total = max(1, int(counts[1:].sum()))
    litres = total * found.lobes.geometry.voxel_volume_mm3 / 1e6
    shares = {lobe: float(counts[label] / total) for lobe, label in LOBES.items()}
    return {"scan": name, "litres": litres, **shares, "plausible": "no" if found.faults else "yes"}


def _write_lobes(trained: LobeModel, job: ScanJob) -> dict[str, object]:
    image = read_volume(job.image, series=job.series)
    refuse_nonfinite(image, job.image)
    found = find_lobes(trained, image)
    write_volume(found.lobes, job.outputs["mask"])
    for fault in found.faults:
        say("warning", f"{job.image}: {fault}; look at the mask before you use it")
    return lobe_row(job.name, found)
