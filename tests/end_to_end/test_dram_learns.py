"""dRAM learns from scores alone, and is judged on scans that it was not trained on."""

from pathlib import Path

import pandas as pd
import pytest

from weakmask.config import Settings, parse
from weakmask.methods import METHODS, train
from weakmask.phantoms.chest_ct import write_phantom_cohort

SCANS = [f"phantom_3_{number:04d}" for number in range(12)]
UNSEEN = [f"phantom_40_{number:04d}" for number in range(6)]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dram") / "cohort"
    write_phantom_cohort(folder, len(SCANS), 3, (48, 54, 58), (6.5, 6.5, 6.5), workers=1)
    write_phantom_cohort(folder.with_name("unseen"), len(UNSEEN), 40, (48, 54, 58), (6.5, 6.5, 6.5), workers=1)
    return folder


def raw(cohort: Path, steps: int, **data: object) -> Settings:
    """The row `raw`: the interval regression alone."""
    values = {
        "method": "dram",
        "device": "cpu",
        "data": {"cohort": str(cohort), "validation": 0.17, **data},
        "prepare": {"spacing_mm": None, "crop_shape": [16, 16, 16]},
        "network": {"width": 4},
        "losses": {"equivariance": 0.0, "entropy": 0.0, "compare": "root"},
        "refinement": {"weight": 0.0},
        "regression": {
            "steps": steps,
            "batch": 6,
            "learning_rate": 5e-3,
            "average_decay": 0.9,
            "precision": "32-true",
            "keep": "last",
        },
        "maps": {"scales": [1.5]},
        "context": {"train": False},
    }
    return parse(METHODS["dram"].settings, values, "dram")


def split_of(run: Path) -> dict[str, set[str]]:
    """Part -> scans, of the crops that the training reads."""
    return pd.read_csv(run / "01-prepare" / "index.csv").groupby("split")["scan"].agg(set).to_dict()


def judged_in(run: Path) -> list[set[str]]:
    """The scans of every table of a run."""
    tables = ("results.csv", "severity.csv", "07-maps/scores.csv")
    return [set(pd.read_csv(run / table)["scan"]) for table in tables]


def test_scores_alone_teach_more_than_a_threshold_or_an_untrained_network_knows(cohort: Path, tmp_path: Path) -> None:
    test = str(cohort.with_name("unseen"))
    summary = train(METHODS["dram"], raw(cohort, 150, test=test), tmp_path / "run").set_index("method")
    untrained = train(METHODS["dram"], raw(cohort, 1, test=test), tmp_path / "untrained").set_index("method")
    floors = ["Otsu in the region", "fixed threshold", "nothing"]
    assert summary.index.tolist() == ["dRAM raw", *floors]
    own = summary.loc["dRAM raw"]  # measured: a kappa of 0.42 and a mean IoU of 0.24
    assert own["kappa"] > summary.loc[floors, "kappa"].max() + 0.05
    assert own["kappa"] > untrained.loc["dRAM raw", "kappa"] + 0.2
    assert own["iou_mean"] > untrained.loc["dRAM raw", "iou_mean"] + 0.12
    assert own["ppv"] > summary.loc[floors, "ppv"].max()
    # with `data.test`, all its scans are judged and none of the others
    assert judged_in(tmp_path / "run") == [set(UNSEEN)] * 3
    parts = split_of(tmp_path / "run")
    assert parts["training"] | parts["validation"] == set(SCANS)
    assert len(parts["validation"]) == 2
