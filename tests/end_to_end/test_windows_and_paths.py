"""`predict` on a simulated Windows, and under paths that are long or hold blanks and umlauts."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from simulated_windows import Kernel32
from weakmask.phantoms.chest_ct import write_phantom_cohort

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="session")
def model(untrained: Callable[[float], Path]) -> Path:
    """An untrained model whose threshold marks a part of every phantom."""
    return untrained(0.1034)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """One phantom, under a path of more than 300 characters with blanks and umlauts; another has a name of a device."""
    folder = tmp_path.joinpath(*(f"Größe {number} der Läsionen, Prüfung {'x' * 60}" for number in range(4)))
    write_phantom_cohort(tmp_path / "cohort", 1, 3, (24, 28, 32), (12.0, 12.0, 12.0), workers=1)
    for part in ("images", "regions"):
        (file,) = (tmp_path / "cohort" / part).iterdir()
        (folder / part).mkdir(parents=True)
        for name in ("Müller, Ä 1", "CON"):
            shutil.copy(file, folder / part / f"{name}.nii.gz")
    assert len(str(folder)) > 300
    return folder


def test_predict_writes_names_that_every_system_takes(
    model: Path, scans: Path, simulated_windows: Kernel32, weakmask: Run
) -> None:
    out = scans / "Ergebnisse über alles"
    regions = scans / "regions"
    command = ["predict", model, scans / "images", "--regions", regions, "--device", "cpu", "-o", out]
    assert weakmask(*command) == (0, [])
    names = ["CON_", "Müller, Ä 1"]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == names
    table = pd.read_csv(out / "scores.csv")
    assert sorted(set(table["scan"])) == names
    assert weakmask(*command) == (0, [])
    (scans / "scores.csv").write_text("scan,LUL\nCON,0\n", encoding="utf-8")
    assert weakmask("evaluate", out, scans, "-o", scans / "judged")[0] == 0
    assert pd.read_csv(scans / "judged" / "severity.csv")["scan"].tolist() == ["CON"]
