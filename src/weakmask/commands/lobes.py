"""`weakmask lobes`: scans -> masks of their lobes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.commands.job_names import Naming
from weakmask.commands.output_folder import open_output
from weakmask.commands.scan_jobs import ScanJob, find_jobs, outputs_of
from weakmask.commands.scans_anywhere import each_scan_anywhere
from weakmask.errors import MachineError, UserError
from weakmask.ray_cluster import Cluster
from weakmask.regions.find_lobes import FoundLobes, find_lobes
from weakmask.regions.lobe_model import LobeModel, load_lobe_model
from weakmask.terminal import say
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, refuse_nonfinite, write_volume
from weakmask.volume.scan_files import ScanFile

LOBES = NUMBERINGS["weakmask"]


@dataclass(frozen=True)
class _Written:
    """The lobes of one scan.

    Attributes:
        row: Its row of the table.
        warnings: Faults of the lobes, which look doubtful.
    """

    row: dict[str, object]
    warnings: tuple[str, ...]


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
    scans: Sequence[Path | ScanFile],
    out: Path,
    model: Path | None,
    device: str = "auto",
    naming: Naming = "path",
    cluster: Cluster | None = None,
) -> WrittenLobes:
    """Write OUT/NAME.nii.gz for every scan; a faulty scan is named in one line and the others go on.

    Args:
        scans: Files, DICOM folders, or folders of scans; or scans that `chosen_scans` found.
        out: The folder to write; `regions/` of a cohort, for instance.
        model: A model file or a run folder; None: the model that comes with the package.
        device: auto, cpu, cuda or mps.
        naming: Source of the names, see `names_of`.
        cluster: The Ray cluster whose workers find the lobes; None: this process does.

    Raises:
        UserError: No such model, no scan, an output that cannot be written or would replace a file of the user's,
            every scan failed, or no such cluster.
    """
    work = _begin(model, device)  # a faulty model is found before any worker starts
    jobs, twice = find_jobs(scans, lambda name, _: {"mask": out / f"{name}.nii.gz"}, naming)
    folder = open_output(out, "lobes", outputs_of(jobs), [job.image for job in jobs])
    try:
        begin = (lambda: work) if cluster is None else partial(_begin, model, device)
        done = each_scan_anywhere(cluster, jobs, "lobes", begin, _warn)
    except (UserError, MachineError):
        folder.forget()
        raise
    return WrittenLobes(pd.DataFrame([written.row for _, written in done.results]), (*twice, *done.failures))


def lobe_row(name: str, found: FoundLobes) -> dict[str, object]:
    """Litres of both lungs, each lobe's share of them, and whether the lobes look plausible."""
    counts = np.bincount(found.lobes.voxels.ravel(), minlength=1 + max(LOBES.values()))
    total = max(1, int(counts[1:].sum()))
    litres = total * found.lobes.geometry.voxel_volume_mm3 / 1e6
    shares = {lobe: float(counts[label] / total) for lobe, label in LOBES.items()}
    return {"scan": name, "litres": litres, **shares, "plausible": "no" if found.faults else "yes"}


def _begin(model: Path | None, device: str) -> Callable[[ScanJob], _Written]:
    """Load the model; returns the work on one scan."""
    return partial(_write_lobes, load_lobe_model(model, device_of(device)))


def _write_lobes(trained: LobeModel, job: ScanJob) -> _Written:
    image = read_volume(job.image, series=job.series)
    refuse_nonfinite(image, job.image)
    found = find_lobes(trained, image)
    write_volume(found.lobes, job.outputs["mask"])
    return _Written(lobe_row(job.name, found), tuple(found.faults))


def _warn(job: ScanJob, written: _Written) -> None:
    """Print the faults of the lobes of a scan."""
    for fault in written.warnings:
        say("warning", f"{job.image}: {fault}; look at the mask before you use it")
