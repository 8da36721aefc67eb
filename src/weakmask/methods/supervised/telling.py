"""The run and the prediction of the supervised method for a person."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.methods.supervised.maps import ROW
from weakmask.region_learning import run_report
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.region_model import RegionModel
from weakmask.report.page import Page, ScanView

CITATION = (
    "Network as in: Xie W, Jacobs C, Charbonnier J-P, van Ginneken B. Dense Regression Activation Maps For Lesion "
    "Segmentation in CT scans of COVID-19 patients. arXiv 2105.11748, 2021. Dice loss: Milletari F, Navab N, Ahmadi "
    "S-A. V-Net. 3DV 2016."
)


def conclude(run: Path, config: SupervisedSettings) -> pd.DataFrame:
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


def _story(config: SupervisedSettings) -> run_report.Story:
    return run_report.Story(
        title="Supervised U-Net",
        row=ROW,
        learned="trained from true masks",
        training="segmentation",
        methods_text=_methods_text(config),
    )


def _methods_text(config: SupervisedSettings) -> str:
    settings, losses = config.segmentation, config.losses
    drawing = "uniformly over the scores" if settings.sampling == "balanced" else "uniformly over the regions"
    dimensions, width = dimensions_of(config.prepare), config.network.width
    training = (
        f"A {dimensions}-D U-Net with {width} channels at its first level was trained "
        f"on true lesion masks with cross-entropy (weight {losses.cross_entropy:g}) and soft Dice (weight "
        f"{losses.dice:g}) inside the region; regions were drawn {drawing}. It took {settings.steps} steps of "
        f"{settings.batch} crops with {settings.optimiser} at a learning rate of {settings.learning_rate:g} "
        f"({settings.schedule}), seed {config.seed}."
    )
    scales = ", ".join(f"{scale:g}" for scale in config.maps.scales)
    inference = (
        f"Maps were averaged over the scales {scales}, put back onto the scan's own grid and cut at "
        f"{config.maps.threshold:g}. The share of marked voxels in a region gave its severity score."
    )
    return "\n\n".join([run_report.preparation_text(config.prepare), training, inference, CITATION])
