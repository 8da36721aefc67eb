"""The report of a run that learnt from a yes or no per region: that of regions, with the AUC of its classifier."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from weakmask.csv_table import read_csv
from weakmask.pipeline import Run
from weakmask.region_learning.bag_classifier import TABLE
from weakmask.region_learning.bag_settings import BagTrainingSettings, LocalisationSettings
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.run_report import ReportText, run_page
from weakmask.region_learning.settings import PrepareSettings
from weakmask.report.page import Page


def bag_page(run: Run[Any], text: ReportText, stages: Sequence[str]) -> Page:
    """The report of a finished run.

    Args:
        run: The run.
        text: Of the method.
        stages: The stages whose curves are drawn.

    Raises:
        UserError: The run is not finished.
    """
    page = run_page(run, text)
    line = read_csv(run.stage("evaluation") / TABLE).to_dict("records")[0]
    area, low, high = (float(line[name]) for name in ("auc", "auc_low", "auc_high"))
    if math.isfinite(area):
        of = f"the classifier on {line['regions']} held-out regions, {line['with_lesions']} of them with lesions"
        interval = f" (95 % interval over patients {low:.3f} to {high:.3f})" if math.isfinite(low) else ""
        summary = f"{page.summary} The AUC of {of}, is {area:.3f}{interval}."
        page = replace(page, summary=summary, tiles=(*page.tiles, ("AUC, held out", f"{area:.3f}")))
    curves = [read_csv(run.stage(stage) / "curves.csv").assign(stage=stage) for stage in stages]
    return replace(page, curves=pd.concat(curves, ignore_index=True))


def training_text(prepare: PrepareSettings, settings: BagTrainingSettings, seed: int) -> str:
    """The sentences that say how a classifier was trained."""
    return (
        f"The {dimensions_of(prepare)}-D classifier was trained to tell regions with lesions from regions without, by "
        f"binary cross-entropy, for {settings.steps} steps of {settings.batch} crops with {settings.optimiser} at a "
        f"learning rate of {settings.learning_rate:g} ({settings.schedule}), seed {seed}; yes and no came in turn, and "
        "within each all patients equally often."
    )


def mask_text(maps: LocalisationSettings) -> str:
    """The sentences that say how maps became masks and scans got a probability."""
    gate = "" if maps.gate_hu is None else f" and are brighter than {maps.gate_hu:g} HU"
    cut = (
        "reach the lowest value at which half of the held-out regions without lesions have less than 1 % marked"
        if maps.rule == "clean cut"
        else f"are among the highest {100 * maps.share:g} % of the scan's regions"
    )
    return f"A mask holds the voxels whose maps {cut}{gate}. The probability of a scan is the highest of its regions."
