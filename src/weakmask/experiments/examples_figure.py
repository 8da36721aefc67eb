"""Example scans of an experiment, with the masks of several rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.experiments.experiment import Judged
from weakmask.pipeline import stage_folder
from weakmask.region_learning.settings import PrepareSettings
from weakmask.report.mask_examples import cut_example, draw_examples
from weakmask.report.scan_view import ScanView
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume

MOST_SCANS = 6  # as in the paper's figure


def example_scans(results: pd.DataFrame) -> list[str]:
    """Scans with lesions, spread evenly from the smallest lesion volume to the largest."""
    lesion = results[results["subset"] == "all"].assign(size=results["tp"] + results["fn"])
    sizes = {str(line["scan"]): int(line["size"]) for line in lesion.to_dict("records") if line["size"] > 0}
    ranked = sorted(sizes, key=lambda scan: (sizes[scan], scan))
    places = np.linspace(0, len(ranked) - 1, min(MOST_SCANS, len(ranked)))
    return [ranked[round(place)] for place in places]


def examples_picture(runs: Sequence[Judged], scans: Sequence[str]) -> bytes:
    """Draw the masks of these runs in some test scans, as WebP; empty without runs or scans."""
    masks = {run.title: stage_folder(run.run, "maps") / "masks" for run in runs}
    return draw_examples(
        [cut_example(_view(runs[0].test, scan), _masks(masks, scan)) for scan in scans] if runs else []
    )


def _view(cohort: Path, scan: str) -> ScanView:
    image, truth, regions = (
        read_volume(cohort / kind / f"{scan}.nii.gz", "image" if kind == "images" else "label")
        for kind in ("images", "lesions", "regions")
    )
    return ScanView(scan, image, PrepareSettings().window, truth=truth, regions=regions)


def _masks(folders: dict[str, Path], scan: str) -> dict[str, Volume]:
    files = {title: folder / f"{scan}.nii.gz" for title, folder in folders.items()}
    return {title: read_volume(file, "label") for title, file in files.items() if file.exists()}
