"""`weakmask listen` in a process of its own, and a peer that sends to it."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pydicom
from command_forks import FORKS, start_command
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, Verification

LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
PATIENCE_S = 60.0
FORKS.set_forkserver_preload(["weakmask.cli", "weakmask.methods.dram", "weakmask.commands.listen", "highdicom"])


class ListenerProcess:
    """A listener that can be killed and started again."""

    def __init__(self, model: Path, out: Path, port: int, *words: object) -> None:
        """Start it."""
        command = ["listen", model, "--out", out, "--peers", "PACS,ORTHANC", "--port", port, "--device", "cpu", *words]
        self._command = [str(word) for word in command]
        self._logs = [out.with_suffix(f".log{number}") for number in range(100)]
        self._starts = 0
        self.port = port
        self.start()

    def start(self) -> None:
        """Start it, again perhaps; returns once it listens."""
        self._starts += 1
        self.process = start_command(self._command, self._logs[self._starts])
        self.wait_for(lambda: len(self.events("listening")) == self._starts)

    def kill(self) -> None:
        """Kill it, so that it cannot clean up."""
        self.process.kill()
        self.process.join()

    def end(self) -> int | None:
        """Stop it with SIGTERM; returns the exit code."""
        self.process.terminate()
        self.process.join(PATIENCE_S)
        return self.process.exitcode

    def lines(self) -> list[str]:
        """The lines that it printed so far, in all its lives."""
        return [line for log in self._logs if log.exists() for line in log.read_text(encoding="utf-8").splitlines()]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind so far."""
        found = [json.loads(line) for line in self.lines() if line.startswith("{") and line.endswith("}")]
        return [event for event in found if event["event"] == kind]

    def wait_for(self, condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.is_alive(), self.lines()
            assert time.monotonic() < end, self.lines()
            time.sleep(0.05)


@contextmanager
def listener_process(model: Path, out: Path, port: int, *words: object) -> Iterator[ListenerProcess]:
    """Run a listener, which is killed at the end if it still runs."""
    running = ListenerProcess(model, out, port, *words)
    try:
        yield running
    finally:
        running.kill()


@contextmanager
def connected(
    port: int, title: str = "PACS", called: str = "WEAKMASK", tls: ssl.SSLContext | None = None
) -> Iterator[Association]:
    """A connection of a peer to a listener, which answers C-ECHO."""
    entity = AE(ae_title=title)
    for kind in (Verification, CTImageStorage):
        entity.add_requested_context(kind, LITTLE_ENDIAN)
    entity.dimse_timeout, entity.acse_timeout = 20, 3
    tls_args = None if tls is None else (tls, "127.0.0.1")
    association = entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls_args)
    transport = association.dul.socket
    connection = None if transport is None else transport.socket
    try:
        assert association.is_established, "refused"
        assert association.send_c_echo().Status == 0
        yield association
    finally:
        if association.is_established:
            association.release()
        if connection is not None:
            connection.close()


def send(port: int, files: Sequence[Path]) -> list[Path]:
    """Send files one by one; returns those that were acknowledged before the connection broke."""
    taken: list[Path] = []
    with connected(port) as association, suppress(RuntimeError):  # the connection is gone
        for file in files:
            if not association.is_established:
                break
            if association.send_c_store(pydicom.dcmread(file)).get("Status") == 0:
                taken.append(file)
    return taken
