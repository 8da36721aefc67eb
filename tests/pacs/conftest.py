"""Scans written as DICOM, the validators of other people, and a PACS."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ct_series import write_ct_series
from own_orthanc import LOGIN, Orthanc, started_orthanc
from small_model import small_model

from weakmask.phantoms.chest_ct import make_phantom
from weakmask.volume.volume import Volume

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


@pytest.fixture(scope="session")
def running_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Orthanc with its DICOMweb plugin; skipped where it is not installed."""
    with started_orthanc(tmp_path_factory.mktemp("orthanc")) as found:
        if found is None:
            pytest.skip("Orthanc is not installed (Debian: apt-get install orthanc orthanc-dicomweb)")
        yield found


@pytest.fixture
def orthanc(running_orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> Orthanc:
    """An empty Orthanc, whose password stands in the environment."""
    monkeypatch.setenv("WEAKMASK_DICOMWEB_USER", LOGIN[0])
    monkeypatch.setenv("WEAKMASK_DICOMWEB_PASSWORD", LOGIN[1])
    running_orthanc.clear()
    return running_orthanc


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model whose threshold marks a part of every phantom."""
    folder = tmp_path_factory.mktemp("model")
    small_model(folder, threshold=0.1034)
    return folder / "model.safetensors"


@pytest.fixture(scope="session")
def phantom() -> Volume:
    """A chest CT in which lobes are found."""
    return make_phantom(3, (16, 32, 32), (20.0, 12.0, 12.0)).image
