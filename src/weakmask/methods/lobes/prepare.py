"""The prepare stage: scans with lobes -> the network's grid, split into training and validation."""

from functools import partial

import pandas as pd
import torch

from weakmask.anatomy.lobe_faults import lobe_faults
from weakmask.anatomy.lung_field import lung_field
from weakmask.csv_table import write_csv
from weakmask.datasets.seen_scans import refuse_seen
from weakmask.datasets.splits import write_splits
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.methods.lobes.config import LobeSettings
from weakmask.methods.lobes.scans import LobeScan, checked, folder_scans, learning_scans, split_scans
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.regions.lobe_frame import Framed, FrameSettings, frame_scan
from weakmask.volume.files import write_volume
from weakmask.volume.resample import resample_onto
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume
from weakmask.worker_processes import each_in_processes

PARTS = ("images", "lobes", "fields")


def prepare(work: Work) -> None:
    """Write images/ and lobes/ on the network's grid and index.csv; a faulty scan is left out and noted.

    Where the settings ask for the lungs, they are written to fields/.

    Raises:
        UserError: No scan can be used, or test scans are trained on.
    """
    config: LobeSettings = work.config
    scans = learning_scans(config)
    if config.data.test is not None and not config.data.seen:
        tested = folder_scans(config.data.test, config.data.numbering)
        files = [{scan.name: scan.scan_file for scan in part if scan.files} for part in (scans, tested)]
        refuse_seen(*files)
    parts = PARTS if config.prepare.needs_field else PARTS[:2]
    for part in parts:
        (work.out / part).mkdir()
    rows: list[dict[str, str]] = []
    split = split_scans(scans, config)
    watched = set(split.validation)
    workers = min(len(scans), torch.get_num_threads())
    made = each_in_processes(partial(framed, settings=config.prepare), scans, workers)
    for scan, found in zip(scans, track(made, "scans", len(scans)), strict=True):
        if isinstance(found, str):
            work.note(f"left out {scan.name}: {found}")
            continue
        for file in scan.files:
            work.hash_input(file)
        image, lobes, faults = found
        for fault in faults:
            work.note(f"{scan.name}: its lobes look wrong: {fault}")
        for part, volume in zip(PARTS, (image.image, lobes, image.field), strict=True):
            if part in parts:
                write_volume(volume, work.out / part / f"{scan.name}.nii")
        rows.append({"scan": scan.name, "split": "validation" if scan.name in watched else "training"})
    if not any(row["split"] == "training" for row in rows):
        raise UserError("no scan could be prepared; the notes above say why")
    write_splits([split], work.out / "splits.csv")
    write_csv(pd.DataFrame(rows), work.out / "index.csv")


def framed(scan: LobeScan, settings: FrameSettings) -> tuple[Framed, Volume, list[str]] | str:
    """A scan and its lobes on the network's grid and what is wrong with the lobes; or why it cannot be used."""
    try:
        with memory_for(scan.name, in_stage=True):
            pair = checked(scan, hounsfield=settings.grey_values == "hounsfield")
            image, lobes = (upright(each) for each in pair)
            found = frame_scan(image, lung_field(image) if settings.needs_field else None, settings)
            return found, resample_onto(lobes, found.image.geometry), lobe_faults(lobes)
    except UserError as error:
        return str(error)
