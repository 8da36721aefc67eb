"""The report of a run."""

import pandas as pd

from weakmask.methods.prototypes.config import PrototypeSettings
from weakmask.pipeline import Run
from weakmask.report.page import Page

TITLE = "Colour prototypes"
METHODS_TEXT = "One colour per class was learnt from the classes of whole pictures."


def run_page(run: Run[PrototypeSettings]) -> Page:
    """The report of a finished run; its table is the summary."""
    summary = pd.read_csv(run.stage("evaluation") / "summary.csv")
    return Page(
        title=f"{TITLE}: {run.folder.name}",
        summary=f"Masks of any class reach a mean IoU of {summary['iou_mean'].iloc[0]:.3f}.",
        table=summary,
        curves=pd.read_csv(run.stage("prototypes") / "curves.csv"),
        config=run.config.model_dump(mode="json"),
        methods_text=METHODS_TEXT,
        provenance=run.manifest(),
    )
