"""A PACS on this machine: Orthanc with its DICOMweb plugin, on ports that are free, behind a password."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOGIN = ("tester", "pass:w\u00f6rt")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Orthanc:
    """A PACS that runs.

    Attributes:
        dicomweb: Its address for weakmask.
        rest: Its own interface.
        dicom_port: Its port for C-STORE.
    """

    dicomweb: str
    rest: str
    dicom_port: int

    def ask(self, path: str, content: object = None, method: str = "") -> Any:
        """An answer of its own interface, from JSON."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode() if content else None
        request = urllib.request.Request(f"{self.rest}/{path}", data, method=method or None)
        request.add_header("Authorization", "Basic " + b64encode(":".join(LOGIN).encode()).decode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def add(self, *folders: Path) -> None:
        """Store the files of folders, past weakmask."""
        for file in sorted(file for folder in folders for file in folder.rglob("*.dcm")):
            self.ask("instances", file.read_bytes(), "POST")

    def clear(self) -> None:
        """Remove all that it holds."""
        for study in self.ask("studies"):
            self.ask(f"studies/{study}", method="DELETE")

    def kinds(self) -> dict[str, int]:
        """Number of images and objects of each modality."""
        series = [self.ask(f"series/{one}") for one in self.ask("series")]
        return dict(Counter(one["MainDicomTags"]["Modality"] for one in series for _ in one["Instances"]))


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def started_orthanc(folder: Path) -> Iterator[Orthanc | None]:
    """Run Orthanc with its data in a folder; None where it is not installed."""
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.exists():
        yield None
        return
    http, dicom = free_port(), free_port()
    config = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "Plugins": [str(PLUGIN)],
        "HttpPort": http, "DicomPort": dicom, "DicomAet": "ORTHANC", "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": True, "RemoteAccessAllowed": False, "AuthenticationEnabled": True,
        "RegisteredUsers": {LOGIN[0]: LOGIN[1]}, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(config), encoding="utf-8")
    with (folder / "log").open("wb") as log, subprocess.Popen([program, folder / "orthanc.json"], stderr=log) as ran:
        found = Orthanc(f"dicomweb://127.0.0.1:{http}/dicom-web", f"http://127.0.0.1:{http}", dicom)
        try:
            for _ in range(200):
                assert ran.poll() is None, (folder / "log").read_text(encoding="utf-8")
                with suppress(OSError):
                    found.ask("system")
                    break
                time.sleep(0.05)
            yield found
        finally:
            ran.kill()
