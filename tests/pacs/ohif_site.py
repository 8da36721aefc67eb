"""OHIF, a viewer in the browser, served on this machine beside an Orthanc whose DICOMweb it reads."""

import json
import os
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from own_orthanc import LOGIN, Orthanc

PACKAGE = "@ohif/app@3.13.2"  # 50 MB
ROOTS = {"qidoRoot": "/dicom-web", "wadoRoot": "/dicom-web", "wadoUriRoot": "/dicom-web"}
SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "orthanc",
    "configuration": {
        **ROOTS, "friendlyName": "Orthanc", "name": "orthanc", "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "qidoSupportsIncludeField": False, "supportsFuzzyMatching": False, "enableStudyLazyLoad": True,
        "omitQuotationForMultipartRequest": True, "bulkDataURI": {"enabled": True},
    },
}  # fmt: skip
CONFIG = {
    "routerBasename": None, "extensions": [], "modes": [], "showStudyList": True, "maxNumberOfWebWorkers": 1,
    "defaultDataSourceName": "orthanc", "dataSources": [SOURCE], "investigationalUseDialog": {"option": "never"},
}  # fmt: skip


def ohif_folder(folder: Path) -> Path | None:
    """The pages of OHIF: those that OHIF_DIST names, else fetched from npm into a folder; None where neither works."""
    if known := os.environ.get("OHIF_DIST"):
        return Path(known)
    npm = shutil.which("npm")
    if npm is None or subprocess.run([npm, "pack", PACKAGE], cwd=folder, capture_output=True, check=False).returncode:
        return None
    with tarfile.open(next(folder.glob("ohif-app-*.tgz"))) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package" / "dist"


@contextmanager
def served_ohif(pages: Path, orthanc: Orthanc) -> Iterator[str]:
    """The address of OHIF while it is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, orthanc, directory=str(pages)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Pages(SimpleHTTPRequestHandler):
    """Files of OHIF, its settings, and what Orthanc answers below /dicom-web."""

    def __init__(self, orthanc: Orthanc, *arguments: object, directory: str) -> None:
        self.orthanc = orthanc
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/dicom-web"):
            self._from_orthanc()
        elif path == "/app-config.js":
            self._answer(200, "text/javascript", f"window.config = {json.dumps(CONFIG)};".encode())
        else:
            if not (Path(self.directory) / path.lstrip("/")).is_file():
                self.path = "/index.html"  # its own addresses, such as /viewer
            super().do_GET()

    def _from_orthanc(self) -> None:
        request = urllib.request.Request(self.orthanc.rest + self.path)
        request.add_header("Authorization", "Basic " + b64encode(":".join(LOGIN).encode()).decode())
        request.add_header("Accept", self.headers.get("Accept", "*/*"))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self._answer(answer.status, answer.headers["Content-Type"], answer.read())
        except urllib.error.HTTPError as refused:
            self._answer(refused.code, "text/plain", refused.read())

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the name of the library)
        """Print nothing."""
