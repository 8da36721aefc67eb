"""A cohort folder of scans whose one lesion is a bright ball, and single stages run on it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from bright_ball import scene

from weakmask.config import Settings
from weakmask.pipeline import Work
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

Scores = Mapping[str, Mapping[str, int]]  # scan -> region name -> score


Grey = Callable[[np.ndarray], np.ndarray]  # Hounsfield units of the scene -> the grey values of the files


def hounsfield(hu: np.ndarray) -> np.ndarray:
    """The grey values of a CT."""
    return np.rint(hu).astype(np.int16)


def write_ball_cohort(folder: Path, scores: Scores, grey: Grey = hounsfield) -> None:
    """Write images/, regions/ (LUL with the ball, LLL without), lesions/ and scores.csv.

    Args:
        folder: Made.
        scores: Every scan, with the regions that have a score.
        grey: What is written.
    """
    image, regions, truth = scene()
    for scan in scores:
        write_volume(image.with_voxels(grey(image.voxels)), folder / "images" / f"{scan}.nii.gz")
        write_volume(regions, folder / "regions" / f"{scan}.nii.gz")
        write_volume(Volume(truth.astype(np.uint8), image.geometry, "label"), folder / "lesions" / f"{scan}.nii.gz")
    rows = [f"{scan},{region},{score}" for scan, given in scores.items() for region, score in given.items()]
    (folder / "scores.csv").write_text("\n".join(["scan,region,score", *rows, ""]))


def run_stage(stage: Callable[[Work], None], run: Path, name: str, config: Settings) -> Work:
    """Run one stage into its folder of the run; stages that it reads were run before."""
    work = Work(run, run / name, config)
    work.out.mkdir(parents=True)
    stage(work)
    return work
