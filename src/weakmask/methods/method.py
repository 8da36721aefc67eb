"""The record of a method, which the command line, the documentation and the tests read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from weakmask.config import Settings
from weakmask.pipeline import Run, Stage
from weakmask.prediction import Limits, Segmenter
from weakmask.report.page import Page

Load = Callable[[Path, torch.device, Limits], Segmenter]


@dataclass(frozen=True)
class Method:
    """One paper, as the package runs it.

    Attributes:
        title: Its result, in plain words.
        paper: The source.
        labels: The labels that it learns from.
        settings: The class of its settings.
        stages: Its steps in order; the one called `evaluation` leaves the tables, the first of them summary.csv.
        report: A finished run -> its page; the table of the page is the summary of the run.
        load: Model file, device and limits -> the model for `predict`; None: it makes no model for `predict`.
        model_stage: Settings -> name of the stage that leaves the model for `predict`.
    """

    title: str
    paper: str
    labels: str
    settings: type[Settings]
    stages: tuple[Stage, ...]
    report: Callable[[Run[Any]], Page]
    load: Load | None = None
    model_stage: Callable[[Any], str] = lambda _: "model"
