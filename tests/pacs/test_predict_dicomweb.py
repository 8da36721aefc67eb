"""Studies from a real PACS (Orthanc) over DICOMweb, segmented, and the results stored there."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from own_orthanc import LOGIN, Orthanc
from scripted_server import scripted_server

from weakmask.pacs.dicomweb_images import RemoteSeries, download
from weakmask.pacs.dicomweb_server import DicomWebServer
from weakmask.pacs.server_address import server_address
from weakmask.volume.dicom_segmentation import read_segmentation
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Box
from weakmask.volume.volume import Volume

Run = Callable[..., tuple[int, list[str]]]
SERIES = "1.2.77.1"


def test_a_study_is_segmented_as_from_files_and_its_results_come_back(
    orthanc: Orthanc, model: Path, phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path, weakmask: Run
) -> None:
    ct = write_scan(tmp_path / "ct" / SERIES, phantom, SERIES, StudyInstanceUID="1.2.77")
    orthanc.add(ct)
    common = ["--device", "cpu", "--dicom", "-o"]
    assert weakmask("predict", model, ct, *common, tmp_path / "files") == (0, [])
    web = ["predict", model, f"{orthanc.dicomweb}?study=1.2.77", *common, tmp_path / "web"]
    assert weakmask(*web, "--store", orthanc.dicomweb) == (0, [])
    files, other = tmp_path / "files", tmp_path / "web"
    for table in ("scores.csv", "statistics.csv"):
        assert (files / table).read_text(encoding="utf-8") == (other / table).read_text(encoding="utf-8")
    for layer in ("mask.nii.gz", "regions.nii.gz", "activation.nii.gz"):
        of_files, of_web = (read_volume(out / SERIES / layer) for out in (files, other))
        assert np.array_equal(of_files.voxels, of_web.voxels)
        assert of_files.geometry == of_web.geometry
    assert orthanc.kinds() == {"CT": 16, "SEG": 2, "SR": 1, "OT": 1}
    stored = pydicom.dcmread(other / SERIES / "dicom" / "lesions.dcm")
    server = DicomWebServer(server_address(orthanc.dicomweb, chooses=False))
    back = download(server, RemoteSeries("1.2.77", stored.SeriesInstanceUID), tmp_path / "back")
    (file,) = back.iterdir()
    mask = read_volume(other / SERIES / "mask.nii.gz", "label").voxels
    assert np.count_nonzero(read_segmentation(file).voxels) == np.count_nonzero(mask) > 0
    times = {path: path.stat().st_mtime_ns for path in other.rglob("*.dcm")}
    (other / SERIES / "stored.json").unlink()  # as a kill between both leaves it
    assert weakmask(*web, "--store", orthanc.dicomweb) == (0, [])
    assert times == {path: path.stat().st_mtime_ns for path in other.rglob("*.dcm")}
    assert orthanc.kinds() == {"CT": 16, "SEG": 2, "SR": 1, "OT": 1}
    with scripted_server(409) as script:
        code, lines = weakmask(*web, "--store", script.address)
    assert code == 2
    assert "lesions.dcm: the server answers 409 Conflict; see the log of the server" in lines[0]
    assert lines[1] == "not sent: 1 result; the same command sends what is missing"


def test_a_broken_study_costs_one_line(
    orthanc: Orthanc, model: Path, phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path, weakmask: Run
) -> None:
    good = write_scan(tmp_path / "good", phantom, SERIES, StudyInstanceUID="1.2.77", PatientID="P8")
    holes = write_scan(tmp_path / "holes", phantom, "1.2.78.1", StudyInstanceUID="1.2.78", PatientID="P8")
    for number in (5, 6, 10):
        (holes / f"{number:03}.dcm").unlink()
    scout = write_scan(
        tmp_path / "scout",
        phantom.crop(Box((0, 0, 0), (1, 32, 32))),
        "1.2.77.2",
        StudyInstanceUID="1.2.77",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )
    orthanc.add(good, holes, scout)
    address = f"{orthanc.dicomweb}?study=1.2.77&study=1.2.78&study=9.9"
    command = ["predict", model, address, "--device", "cpu", "-o", tmp_path / "out", "--store", orthanc.dicomweb]
    code, lines = weakmask(*command)
    assert code == 2
    assert [line.split()[0] for line in lines] == ["note", "left", "left", "left"]
    assert "1.2.77.2: only localizers; not a scan" in lines[0]
    assert "study 9.9" in lines[1]
    assert "1.2.78.1" in lines[2]
    assert (tmp_path / "out" / SERIES / "stored.json").exists()
    by_patient = f"{orthanc.dicomweb}?PatientID=P8"
    code, lines = weakmask("predict", model, by_patient, "--series", SERIES, "--device", "cpu", "-o", tmp_path / "out2")
    assert code == 2
    assert "study 1.2.78 has no series 1.2.77.1; it has 4 (CT lung)" in lines[0]
    assert sorted(path.name for path in (tmp_path / "out2" / "downloads").iterdir()) == [SERIES]


def test_the_password_comes_from_netrc_and_a_wrong_one_is_named(
    orthanc: Orthanc, model: Path, tmp_path: Path, weakmask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAKMASK_DICOMWEB_PASSWORD", "wrong")
    command = ["predict", model, f"{orthanc.dicomweb}?study=1.2.77", "-o", tmp_path / "out"]
    code, (line,) = weakmask(*command)
    assert code == 2
    assert "the server answers 401 Unauthorized; set WEAKMASK_DICOMWEB_USER" in line
    assert "wrong" not in line
    monkeypatch.delenv("WEAKMASK_DICOMWEB_USER")
    monkeypatch.delenv("WEAKMASK_DICOMWEB_PASSWORD")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {LOGIN[0]} password {LOGIN[1]}\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    code, (line,) = weakmask(*command)
    assert code == 2
    assert "study 1.2.77 has no series of images; it has no series at all" in line


@pytest.mark.parametrize(
    ("library", "command"),
    [
        ("pynetdicom", ["listen", "model", "--out", "out", "--peers", "PACS"]),
        ("dicomweb_client", ["predict", "model", "scan.nii.gz", "--out", "out", "--store", "dicomweb://pacs"]),
    ],
)
def test_without_the_libraries_one_line_says_what_to_install(
    library: str, command: list[str], weakmask: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    assert weakmask("--help")[0] == 0
    assert weakmask(command[0], "--help")[0] == 0
    code, (line,) = weakmask(*command)
    assert code == 2
    assert "need the libraries of the extra `pacs`" in line
    assert line.endswith("pip install 'weakmask[pacs]'")
    assert not list(tmp_path.iterdir())
