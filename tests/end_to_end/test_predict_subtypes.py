"""`weakmask predict --subtypes`: lesions told apart, in a file and in millilitres per region."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weakmask.networks import build_network
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.training.checkpoints import load_weights, save_weights
from weakmask.volume.files import read_volume, scan_name

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subtypes") / "cohort"
    write_phantom_cohort(folder, 3, 3, (40, 44, 48), (8.0, 8.0, 8.0), workers=1)
    return folder


@pytest.fixture
def lavish(model: Path, tmp_path: Path) -> Path:
    """An untrained model that marks something."""
    weights, header = load_weights(model)
    network = build_network(header["network"], header["arguments"])
    network.load_state_dict(weights)
    save_weights(tmp_path / "lavish.safetensors", network, {**header, "threshold": 0.01})
    return tmp_path / "lavish.safetensors"


def test_subtypes_are_files_and_volumes(weakmask: Run, lavish: Path, cohort: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "subtypes.csv", tmp_path / "out"
    scan = min((cohort / "images").iterdir())
    # a verb that succeeds leaves without an exit code
    assert succeeded(weakmask, "subtypes-table", cohort, "--out", table)
    assert succeeded(weakmask, "predict", lavish, scan, "--regions", cohort / "regions", "-o", out, "--subtypes", table)
    mask, subtypes, regions = (
        read_volume(out / scan_name(scan) / f"{name}.nii.gz", "label") for name in ("mask", "subtypes", "regions")
    )
    assert np.array_equal(subtypes.voxels > 0, mask.voxels > 0)
    assert set(np.unique(subtypes.voxels)) <= {0, 1, 2, 3}
    scores = pd.read_csv(out / "scores.csv")
    columns = ["ground-glass_ml", "consolidation_ml", "mixed_ml"]
    assert columns == [name for name in scores.columns if name.endswith("_ml")]
    inside = (mask.voxels > 0) & (regions.voxels > 0)
    assert scores[columns].to_numpy().sum() == pytest.approx(inside.sum() * 8.0**3 / 1000, abs=0.01)
    assert inside.any()
    assert f"consolidation {scores['consolidation_ml'].sum():.1f} ml" in (out / "report.html").read_text()


def test_a_table_that_is_none_ends_in_one_line(weakmask: Run, model: Path, cohort: Path, tmp_path: Path) -> None:
    scan = min((cohort / "images").iterdir())
    wrong = cohort / "scores.csv"
    code, lines = weakmask(
        "predict", model, scan, "--regions", cohort / "regions", "-o", tmp_path / "out", "--subtypes", wrong
    )
    assert code == 2
    assert len(lines) == 1
    assert str(wrong) in lines[0]
    assert not (tmp_path / "out").exists()


def succeeded(weakmask: Run, *arguments: object) -> bool:
    return weakmask(*arguments)[0] == 0
