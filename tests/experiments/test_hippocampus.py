"""V-Net beside the U-Net: both are tested on the same scans, and the numbers are those of the written masks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.experiments.experiment import Preset
from weakmask.experiments.hippocampus import CLASSES, EXPERIMENT, QUICK, ROWS, settings
from weakmask.experiments.run import Request, reproduce
from weakmask.methods import load_config
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.volume import Volume

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = {**QUICK, "network.width": 2, "prepare.shape": (16, 16, 16), "train.steps": 1, "data.validation": 0.1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """13 scans of two boxes side by side."""
    folder, chance = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for number in range(13):
        labels = np.zeros((14, 18, 12), np.uint8)
        labels[3:9, 4:9, 3:8], labels[3:9, 9:15, 3:8] = 1, 2
        grey = chance.normal(50 * labels, 5).astype(np.float32)
        for part, voxels in (("images", grey), ("labels", labels)):
            write_volume(Volume.from_array(voxels, (1, 1, 1)), folder / part / f"hippocampus_{number:03d}.nii.gz")
    return folder


def test_both_networks_are_tested_on_the_same_scans(data: Path, tmp_path: Path) -> None:
    experiment = replace(EXPERIMENT, presets={"tiny": Preset({"v_net": settings(TINY)})})
    reproduce(experiment, tmp_path / "out", Request(data, seeds=1, jobs=1))
    table: Any = pd.read_csv(tmp_path / "out" / "table.csv").set_index("row")
    assert list(table.index) == ["v-net", "u-net"]
    results = pd.read_csv(tmp_path / "out" / "results.csv")
    assert sorted(set(results["scan"])) == [f"hippocampus_{k:03d}" for k in (2, 6, 10)]
    for row in ROWS:
        run = tmp_path / "out" / "rows" / row / "seed-0"
        learnt = pd.read_csv(run / "01-prepare" / "index.csv")["scan"]
        assert len(learnt) == 10
        assert not set(learnt) & set(results["scan"])
        dice = []
        for scan in set(results["scan"]):
            mask = read_volume(run / "04-evaluation" / "masks" / f"{scan}.nii.gz", "label").voxels
            truth = read_volume(data / "labels" / f"{scan}.nii.gz", "label").voxels
            dice += [2 * ((mask == k) & (truth == k)).sum() / ((mask == k).sum() + (truth == k).sum()) for k in (1, 2)]
        assert table.loc[row, "dice"] == pytest.approx(np.mean(dice), abs=1e-5)


def test_a_folder_without_the_scans_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0 scans with images/NAME.nii.gz and labels/NAME.nii.gz; expected the hippo"):
        reproduce(EXPERIMENT, tmp_path / "out", Request(tmp_path, seeds=1))


def test_the_quick_preset_is_the_shipped_config() -> None:
    shipped: Any = load_config(CONFIGS / "v_net_hippocampus.yaml")[1]
    assert shipped.data.classes == CLASSES
    data = shipped.data.model_copy(update={"cohort": Path()})
    assert settings(QUICK) == shipped.model_copy(update={"data": data})
