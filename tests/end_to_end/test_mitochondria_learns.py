"""On easy phantoms the method finds mitochondria one by one, better than a threshold, no worse than its mask alone."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from weakmask.methods import METHODS, load_config, train
from weakmask.phantoms.em_cohort import write_em_cohort

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.slow
def test_instances_of_easy_phantoms_are_found(tmp_path: Path) -> None:
    """About 3 minutes of one core."""
    for name, stacks, seed in (("training", 5, 0), ("test", 4, 1)):
        write_em_cohort(tmp_path / name, stacks, seed, (12, 160, 160), (30.0, 16.0, 16.0), "easy", workers=1)
    changes = [f"data.cohort={tmp_path / 'training'}", f"data.test={tmp_path / 'test'}", "device=cpu"]
    _, settings = load_config(CONFIGS / "mitochondria_phantom.yaml", changes)
    train(METHODS["mitochondria"], settings, tmp_path / "run")
    table: Any = pd.read_csv(tmp_path / "run" / "summary.csv").set_index("method")
    own, mask, grey = (table.loc[row] for row in ("mitochondria", "mask alone, components", "best grey threshold"))
    assert own["ap_75"] > 0.3 > grey["ap_75"]
    assert own["dice"] > 0.8 > grey["dice"]
    assert own["ap_50"] >= mask["ap_50"]
    assert own["merges"] <= mask["merges"]
