"""The run and the prediction of the CAM baseline for a person."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.methods.cam.config import CamSettings
from weakmask.methods.cam.maps import row_of
from weakmask.region_learning import run_report
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.region_model import RegionModel
from weakmask.report.page import Page, ScanView

CITATION = (
    "Zhou B, Khosla A, Lapedriza A, Oliva A, Torralba A. Learning Deep Features for Discriminative Localization. CVPR "
    "2016. Baseline as in: Xie W, Jacobs C, Charbonnier J-P, van Ginneken B. Dense Regression Activation Maps For "
    "Lesion Segmentation in CT scans of COVID-19 patients. arXiv 2105.11748, 2021."
)


def conclude(run: Path, config: CamSettings) -> pd.DataFrame:
    """Copy the tables to the run's root, write report.html and return the summary."""
    return run_report.conclude_run(run, config, _story(config))


def prediction_page(
    model: RegionModel,
    model_path: Path,
    rows: Sequence[Mapping[Any, Any]],
    views: Sequence[Callable[[], ScanView]],
    failures: Sequence[str],
) -> Page:
    """The report of a prediction."""
    return run_report.prediction_page(_story(model.config), model, model_path, rows, views, failures)


def _story(config: CamSettings) -> run_report.Story:
    return run_report.Story(
        title="CAM baseline",
        row=row_of(refine=config.maps.refine),
        learned="trained from a yes or no per region",
        training="classification",
        methods_text=_methods_text(config),
    )


def _methods_text(config: CamSettings) -> str:
    settings = config.classification
    scales = ", ".join(f"{scale:g}" for scale in config.maps.scales)
    refined = ""
    if config.maps.refine:
        refined = " and kept inside the lesion proposal: high attenuation by Otsu's threshold inside the regions"
        if config.maps.exclude_vessels:
            refined += ", without the vessels that a Frangi filter and Otsu's threshold mark"
    dimensions, width = dimensions_of(config.prepare), config.network.width
    training = (
        f"A {dimensions}-D classifier (the down-sampling path of a U-Net with {width} "
        "channels at its first level, global average pooling, one linear layer) was trained to tell regions with "
        f"lesions from regions without, by binary cross-entropy, for {settings.steps} steps of {settings.batch} crops "
        f"with {settings.optimiser} at a learning rate of {settings.learning_rate:g} ({settings.schedule}), seed "
        f"{config.seed}."
    )
    inference = (
        f"Class activation maps were averaged over the scales {scales}, put back onto the scan's own grid, rescaled to "
        f"[0, 1] over the scan and cut by Otsu's threshold{refined}. The share of marked voxels in a region gave its "
        "severity score."
    )
    return "\n\n".join([run_report.preparation_text(config.prepare), training, inference, CITATION])
