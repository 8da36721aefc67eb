"""A web server whose answers a test writes down beforehand."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from weakmask.pacs.dicomweb_server import DicomWebServer, Patience
from weakmask.pacs.server_address import server_address

IMPATIENT = Patience(attempts=3, first_wait_s=0.01, connect_s=2.0, read_s=0.8)
CUT = object()  # an answer that breaks off
SILENCE = object()  # none in time


@dataclass(frozen=True)
class Files:
    """An answer of DICOM files.

    Attributes:
        files: The files.
        cut: Whether the answer breaks off in the last one.
    """

    files: Sequence[Path]
    cut: bool = False

    def body(self) -> bytes:
        """The bytes that are sent."""
        head = b"\r\n--PART\r\nContent-Type: application/dicom\r\n\r\n"
        whole = b"".join(head + file.read_bytes() for file in self.files) + b"\r\n--PART--\r\n"
        return whole[:-1000] if self.cut else whole


@dataclass
class Scripted:
    """A server.

    Attributes:
        answers: What it answers, in order: a status, JSON, `Files`, `CUT` or `SILENCE`; the last one again and again.
        requests: Path and header of each request that came.
        port: Its port.
    """

    answers: list[Any]
    requests: list[tuple[str, Message]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """Its address for weakmask."""
        return f"dicomweb://127.0.0.1:{self.port}/dicom-web"

    def server(self, query: str = "") -> DicomWebServer:
        """It as weakmask sees it."""
        return DicomWebServer(server_address(self.address + query, chooses=bool(query)), IMPATIENT)


@contextmanager
def scripted_server(*answers: Any) -> Iterator[Scripted]:
    """Run a server."""
    script, silence = Scripted(list(answers)), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.requests.append((self.path, self.headers))
            answer = script.answers[0] if len(script.answers) == 1 else script.answers.pop(0)
            if answer is SILENCE:
                silence.wait(5)
                self.close_connection = True
                return
            kind, cut = "application/dicom+json", answer is CUT or (isinstance(answer, Files) and answer.cut)
            if isinstance(answer, Files):
                kind, body = 'multipart/related; type="application/dicom"; boundary=PART', answer.body()
            else:
                body = b"[]" if answer is CUT or isinstance(answer, int) else json.dumps(answer).encode()
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) + 100 * cut))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = cut

        do_POST = do_GET  # noqa: N815 - the library looks for this name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield script
        finally:
            silence.set()
            server.shutdown()
            thread.join()
