"""The report of a run: the table of the classes."""

from weakmask.csv_table import read_csv
from weakmask.methods.v_net.config import VNetSettings
from weakmask.methods.v_net.evaluation import read_summary
from weakmask.methods.v_net.model import TITLES, methods_text
from weakmask.pipeline import Run
from weakmask.report.page import Page


def run_page(run: Run[VNetSettings]) -> Page:
    """The report of a finished run; its table is the summary.

    Raises:
        UserError: The run is not finished.
    """
    summary = read_summary(run.stage("evaluation"))
    title = TITLES[run.config.network.name]
    means = summary.loc[summary["class"] == "mean", "dice"].tolist()
    found = f"mean Dice of the classes {means[0]:.3f}" if means else "no scan was evaluated"
    return Page(
        title=f"{title}: {run.folder.name}",
        summary=f"{title}, {found}.",
        table=summary if len(summary) else None,
        table_caption="surface mm: mean distance from the surface of the mask to that of the truth, and back.",
        curves=read_csv(run.stage("train") / "curves.csv"),
        config=run.config.model_dump(mode="json"),
        methods_text=methods_text(run.config),
        provenance=run.manifest(),
    )
