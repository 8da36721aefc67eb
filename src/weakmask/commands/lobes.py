"""Scans in, lobe maps out: what `weakmask lobes` does, one scan after the other."""

from pathlib import Path

import numpy as np
import pandas as pd
from rich.markup import escape

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.commands.scan_jobs import (
    all_scans,
    distinct_scans,
    failure_line,
    open_output,
    refuse_replacing,
    tell_left_out,
)
from weakmask.errors import UserError
from weakmask.progress import console, track
from weakmask.regions.find_lobes import FoundLobes, find_lobes
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, refuse_nonfinite, scan_name, write_volume
from weakmask.volume.volume import Volume

LOBES = NUMBERINGS["weakmask"]


def write_lobe_maps(
    scans: list[Path], out: Path, model: Path | None, device: str = "auto"
) -> tuple[pd.DataFrame, list[str]]:
    """Write OUT/NAME.nii.gz for every scan; a faulty scan gets one line and the others continue.

    Args:
        scans: Files, DICOM folders, or folders of scans.
        out: The folder to write; `regions/` of a cohort, for instance.
        model: A model file or a run folder; None: the model that comes with the package.
        device: auto, cpu, cuda or mps.

    Returns:
        One row per scan with each lobe's share of the lungs and what looks wrong; and a line for every scan that
        failed or has the name of an earlier one.

    Raises:
        UserError: No model there, no scan there, an output that cannot be written or would replace a scan, or every
            scan failed.
    """
    trained = load_lobe_model(model, device_of(device))
    found = all_scans(scans)
    refuse_replacing(found, [out / f"{scan_name(path)}.nii.gz" for path in found])
    found, twice = distinct_scans(found)
    made = open_output(out)
    rows: list[dict[str, object]] = []
    failures: list[str] = []
    for path in track(found, "lobes", len(found)):
        try:
            lobes = find_lobes(trained, _read(path))
            write_volume(lobes.lobes, out / f"{scan_name(path)}.nii.gz")
        except UserError as error:
            failures.append(failure_line(path, error))
            if len(found) > 1:
                tell_left_out(failures[-1])
            continue
        for fault in lobes.faults:
            text = escape(f"{path}: {fault}; look at the mask before you use it")
            console.print(f"[yellow]warning[/] {text}", highlight=False, soft_wrap=True)
        rows.append(lobe_row(scan_name(path), lobes))
    if not rows:
        if made:
            out.rmdir()
        raise UserError(failures[0] if len(found) == 1 else f"all {len(found)} scans failed; the first: {failures[0]}")
    return pd.DataFrame(rows), [*twice, *failures]


def lobe_row(name: str, found: FoundLobes) -> dict[str, object]:
    """Litres of both lungs, each lobe's share of them, and the faults."""
    counts = np.bincount(found.lobes.voxels.ravel(), minlength=1 + max(LOBES.values()))
    total = max(1, int(counts[1:].sum()))
    litres = total * found.lobes.geometry.voxel_volume_mm3 / 1e6
    shares = {lobe: float(counts[label] / total) for lobe, label in LOBES.items()}
    return {"scan": name, "litres": litres, **shares, "plausible": "no" if found.faults else "yes"}


def _read(path: Path) -> Volume:
    image = read_volume(path)
    refuse_nonfinite(image, path)
    return image
