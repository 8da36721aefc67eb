"""`weakmask predict` and `weakmask lobes` beside files that are there: which are read, and that none is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from malformed_files import cohort

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A cohort of two scans, s0 and s1, with regions."""
    return cohort(tmp_path / "cohort")


def test_a_run_before_its_context_network_is_not_complete(model: Path, scans: Path, tmp_path: Path, weakmask: Run):
    run, out = tmp_path / "run", tmp_path / "out"
    (run / "04-model").mkdir(parents=True)
    shutil.copy(model, run / "04-model" / "model.safetensors")
    scan, regions = scans / "images" / "s0.nii.gz", scans / "regions"
    code, lines = weakmask("predict", run, scan, "--regions", regions, "-o", out)
    assert code == 2
    assert lines == [f"error {run}: training is not complete, no context network yet; run weakmask train again"]
    assert not out.exists()
    # the file itself is taken for what it is, and the report says no more than that
    assert weakmask("predict", run / "04-model" / "model.safetensors", scan, "--regions", regions, "-o", out)[0] == 0
    assert "second U-Net" not in (out / "report.html").read_text(encoding="utf-8")
