"""Scans written as DICOM, and the validators of other people."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ct_series import write_ct_series

WriteScan = Callable[..., Path]


@pytest.fixture
def write_scan() -> WriteScan:
    """Writes a scan of any geometry as a series of CT slices, and returns its folder."""
    return write_ct_series


@pytest.fixture
def errors_of() -> Callable[[Path], list[str]]:
    """The errors that dciodvfy finds in a file; a test that asks for it is skipped where that is not installed."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")

    def validate(file: Path) -> list[str]:
        found = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        lines = (found.stdout + found.stderr).splitlines()
        assert any(word in line for line in lines for word in ("Segmentation", "SR", "SCImage")), lines
        return [line for line in lines if line.startswith("Error")]

    return validate
