"""DICOMweb servers at fault: repeated requests, time limits, refusals in one line, and logins that stay secret."""

import errno
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from own_orthanc import free_port
from scripted_server import CUT, IMPATIENT, SILENCE, Files, scripted_server
from write_faults import write_faults

from weakmask.errors import UserError
from weakmask.pacs import dicomweb_images
from weakmask.pacs.dicomweb_images import RemoteSeries, chosen_series, chosen_studies, download
from weakmask.pacs.dicomweb_objects import store
from weakmask.pacs.dicomweb_server import DicomWebServer
from weakmask.pacs.server_address import server_address
from weakmask.pacs.transfer_faults import UnreachableError
from weakmask.volume.dicom_file import read_dataset
from weakmask.volume.volume import Volume

STUDIES = [{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]
SERIES = [{"0020000E": {"vr": "UI", "Value": ["1.2.3.4"]}, "00080060": {"vr": "CS", "Value": ["CT"]}}]


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No password in the environment, nor in the files of the user who runs the tests."""
    for name in ("USER", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"WEAKMASK_DICOMWEB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.mark.parametrize("fault", [503, 500, 429, CUT, SILENCE])
def test_a_fault_that_passes_costs_an_attempt(fault: object) -> None:
    with scripted_server(fault, fault, STUDIES, []) as script:
        assert chosen_studies(script.server("?PatientID=P7")) == ["1.2.3"]
    assert len(script.requests) == 4
    assert "PatientID=P7" in script.requests[0][0]


@pytest.mark.parametrize(
    ("fault", "attempts", "line"),
    [
        (503, 3, "the server answers 503 Service Unavailable, after 3 attempts; try again later"),
        (SILENCE, 3, "no answer after 3 attempts \\(read timeout\\)"),
        (
            401,
            1,
            "401 Unauthorized; set WEAKMASK_DICOMWEB_USER and WEAKMASK_DICOMWEB_PASSWORD, or a line for 127.0.0.1",
        ),
        (404, 1, "404 Not Found; check the path of the address and the UIDs"),
    ],
)
def test_a_fault_that_lasts_is_one_line_and_may_pass_later(fault: object, attempts: int, line: str) -> None:
    with scripted_server(fault) as script, pytest.raises(UnreachableError, match=line):
        chosen_series(script.server("?study=1.2.3"), "1.2.3")
    assert len(script.requests) == attempts


def test_no_server_at_all() -> None:
    address = server_address(f"dicomweb://127.0.0.1:{free_port()}/?study=1.2", chooses=True)
    with pytest.raises(UnreachableError, match="no answer after 3 attempts \\(Connection refused\\); try again later"):
        chosen_series(DicomWebServer(address, IMPATIENT), "1.2")


@pytest.mark.parametrize("answer", ["text", [3], [{"0020000E": 5}]])
def test_an_answer_that_is_not_dicomweb(answer: object) -> None:
    with scripted_server(answer) as script, pytest.raises(UserError, match="not DICOMweb"):
        chosen_series(script.server("?study=1.2.3"), "1.2.3")


def test_a_server_that_knows_no_pages_and_uids_that_are_paths() -> None:
    hostile = [{"0020000E": {"vr": "UI", "Value": ["../../etc"]}}]
    with scripted_server(SERIES + hostile) as script:
        assert [one.uid for one in chosen_series(script.server("?study=1.2.3"), "1.2.3")] == ["1.2.3.4"]
    assert len(script.requests) == 2


def test_a_series_without_some_of_its_images_is_absent(tmp_path: Path) -> None:
    images = [{"00080018": {"vr": "UI", "Value": [f"1.2.3.4.{number}"]}} for number in range(3)]
    with scripted_server(images, [], []) as script, pytest.raises(UserError):
        download(script.server("?study=1.2.3"), RemoteSeries("1.2.3", "1.2.3.4"), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_images_that_break_off_come_again_and_are_not_asked_for_a_third_time(
    phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path
) -> None:
    files = sorted(write_scan(tmp_path / "ct", phantom, "1.2.3.4").iterdir())
    images = [{"00080018": {"vr": "UI", "Value": [f"1.2.3.4.{number}"]}} for number in range(1, 17)]
    answers = (Files(files[:8], cut=True), 406, Files(files))  # 406: not in the form in which they are stored
    with scripted_server(images, [], *answers, images, []) as script:
        server, series = script.server("?study=1.2.3"), RemoteSeries("1.2.3", "1.2.3.4")
        folder = download(server, series, tmp_path / "out")
        assert download(server, series, tmp_path / "out") == folder
    assert len(script.requests) == 7
    accepted = [str(header["Accept"]) for _, header in script.requests[2:5]]
    assert ["transfer-syntax=*" in text for text in accepted] == [True, True, False]
    assert sorted(file.read_bytes() for file in folder.iterdir()) == sorted(file.read_bytes() for file in files)


def test_a_full_disk_while_images_come_says_so(
    write_scan: Callable[..., Path], phantom: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pydicom would hide the number of the disk's error, so that nobody could tell it from a damaged image."""
    images = [read_dataset(file) for file in sorted(write_scan(tmp_path / "scan", phantom).iterdir())]
    monkeypatch.setattr(dicomweb_images, "_images_of", lambda *_: iter(images))
    (tmp_path / "out").mkdir()
    server = DicomWebServer(server_address("dicomweb://127.0.0.1:1", chooses=False))
    with write_faults(tmp_path / "out", 2, "ENOSPC"), pytest.raises(OSError, match="No space left") as caught:
        dicomweb_images._write_all(server, RemoteSeries("1.2", "1.2.3"), tmp_path / "out")
    assert caught.value.errno == errno.ENOSPC


def test_an_object_that_is_refused(phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path) -> None:
    file = next(write_scan(tmp_path / "P1" / "dicom", phantom).iterdir())
    refused = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA900]}}]}}
    with scripted_server(refused) as script, pytest.raises(UserError, match=r"P1, .*refuses the object, reason 0xa900"):
        store(script.server(), [file])
    full = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA700]}}]}}
    with scripted_server(full) as script, pytest.raises(UnreachableError, match="0xa700"):
        store(script.server(), [file])
    with scripted_server(503, {}) as script:
        store(script.server(), [file])
    lengths = [int(header["Content-Length"]) for _, header in script.requests]
    assert lengths[0] == lengths[1] > file.stat().st_size


def test_logins_of_the_environment_and_of_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with scripted_server([]) as script:

        def sent() -> str:
            with pytest.raises(UserError, match="no series at all"):
                chosen_series(script.server("?study=1.2.3"), "1.2.3")
            return str(script.requests[-1][1]["Authorization"])

        assert sent() == "None"
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login anna password geheim\n", encoding="utf-8")
        assert b64decode(sent().removeprefix("Basic ")) == b"anna:geheim"
        monkeypatch.setenv("WEAKMASK_DICOMWEB_TOKEN", "abc")
        assert sent() == "Bearer abc"
        monkeypatch.setenv("WEAKMASK_DICOMWEB_USER", "J\u00f6rg")
        with pytest.raises(UserError, match="belong together; set both, or none"):
            chosen_series(script.server("?study=1.2.3"), "1.2.3")
        monkeypatch.setenv("WEAKMASK_DICOMWEB_PASSWORD", "a:b")
        assert b64decode(sent().removeprefix("Basic ")).decode() == "J\u00f6rg:a:b"


@pytest.mark.parametrize(
    ("text", "chooses", "line"),
    [
        ("dicomweb://me:secret@pacs/?study=1.2", True, "pacs: an address with a user name or a password is refused"),
        ("dicomweb://", True, "not the address of a DICOMweb server; expected dicomweb://HOST:PORT/PATH"),
        ("dicomweb://pacs:port/", True, "not the address of a DICOMweb server"),
        ("dicomweb://pacs", True, "no study is chosen; add \\?study=UID"),
        ("dicomweb://pacs?series=1.2", True, "add study=UID"),
        ("dicomweb://pacs?study=../x", True, "study=../x is not a UID"),
        ("dicomweb://pacs?patient=7", True, "unknown word patient in the address; expected study, series, PatientID"),
        ("dicomweb://pacs?PatientID=", True, "PatientID has no value"),
        ("dicomweb://pacs?study", True, "is no query"),
        ("dicomweb://pacs?study=1.2", False, "stored at a server, not at a study"),
    ],
)
def test_addresses_that_are_refused(text: str, chooses: bool, line: str) -> None:
    with pytest.raises(UserError, match=line) as refused:
        server_address(text, chooses=chooses)
    assert "secret" not in str(refused.value)


def test_addresses_that_are_taken() -> None:
    found = server_address("dicomwebs://pacs.example:8443/dicom-web/?study=1.2&study=1.3&series=1.2.1", chooses=True)
    assert found.url == "https://pacs.example:8443/dicom-web"
    assert found.query == {"study": ("1.2", "1.3"), "series": ("1.2.1",)}
    assert not found.is_open
    assert server_address("dicomweb://pacs", chooses=False).is_open
    assert not server_address("http://127.0.0.1:8042/dicom-web", chooses=False).is_open
