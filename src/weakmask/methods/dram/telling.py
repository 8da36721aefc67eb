"""The run and the prediction of dRAM for a person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.judging import method_name
from weakmask.methods.dram.methods_text import methods_text
from weakmask.methods.dram.model import DramModel
from weakmask.pipeline import read_manifest
from weakmask.region_learning import run_report
from weakmask.report.page import Page, ScanView


def conclude(run: Path, config: DramSettings) -> pd.DataFrame:
    """Copy the tables to the run's root, write report.html and return the summary."""
    return run_report.conclude_run(run, config, _story(config, read_manifest(run)))


def prediction_page(
    model: DramModel,
    model_path: Path,
    rows: Sequence[Mapping[Any, Any]],
    views: Sequence[Callable[[], ScanView]],
    failures: Sequence[str],
) -> Page:
    """The report of a prediction; among its key numbers the threshold."""
    config: DramSettings = model.regional.config
    answers = config.context.model_copy(update={"train": model.context is not None})  # a file may be the regression's
    story = _story(config.model_copy(update={"context": answers}), {})
    page = run_report.prediction_page(story, model.regional, model_path, rows, views, failures)
    return replace(page, tiles=(*page.tiles, ("threshold", f"{model.threshold:.2f}")))


def _story(config: DramSettings, manifest: Mapping[str, Any]) -> run_report.Story:
    return run_report.Story(
        title="dRAM",
        row=method_name(config),
        learned="trained from scores alone",
        training="regression",
        methods_text=methods_text(config, manifest),
    )
