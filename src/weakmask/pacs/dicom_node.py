"""Objects to a DICOM node (C-STORE)."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakmask.errors import UserError
from weakmask.pacs.dicom_listener import SECONDS, check_title, network_library
from weakmask.pacs.dicom_tls import Certificates, shake_hands
from weakmask.pacs.transfer_faults import UnreachableError
from weakmask.volume.dicom_file import read_dataset

STORED = {0x0000, 0xB000, 0xB006, 0xB007}  # statuses: stored, stored with a warning
TLS = "tls://"  # before an address
NO_ROOM = range(0xA700, 0xA800)  # out of resources


@dataclass(frozen=True)
class RemoteNode:
    """A node that takes objects.

    Attributes:
        title: Its AE title.
        host: Its machine.
        port: Its port.
        own_title: The AE title that weakmask calls itself.
        tls: The certificates; None: no TLS.
    """

    title: str
    host: str
    port: int
    own_title: str
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """As users write it."""
        return f"{TLS if self.tls else ''}{self.title}@{self.host}:{self.port}"

    def send(self, files: Sequence[Path]) -> None:
        """Send objects.

        Args:
            files: DICOM files.

        Raises:
            UnreachableError: The node gives no answer, or asks to come again.
            UserError: The node refuses an object, or the library is not installed.
        """
        objects = {file: read_dataset(file) for file in files}
        library = network_library()
        entity = library.AE(ae_title=self.own_title)
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = SECONDS
        entity.connection_timeout = 10.0
        kinds = {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in objects.values()}
        for kind, syntax in sorted(kinds):
            entity.add_requested_context(kind, syntax)
        faults: list[str] = []
        association = entity.associate(
            self.host,
            self.port,
            ae_title=self.title,
            evt_handlers=[(library.evt.EVT_CONN_OPEN, shake_hands, [faults.append])],
            tls_args=None if self.tls is None else (self.tls, self.host),
        )
        transport = association.dul.socket
        connection = None if transport is None else transport.socket
        try:
            if association.rejected_contexts:
                names = {one.abstract_syntax.name for one in association.rejected_contexts if one.abstract_syntax}
                raise UserError(f"{self}: does not take {', '.join(sorted(names))}; allow it there")
            if not association.is_established:
                raise UnreachableError(f"{self}: {self._no_answer(association, faults)}; it is tried again later")
            for file, one in objects.items():
                self._send_one(association, file, one)
        finally:
            association.release()
            if connection is not None:  # the library leaves it open if the node has closed it first
                connection.close()

    def _no_answer(self, association: Any, faults: Sequence[str]) -> str:
        """Why there is no connection."""
        if faults:
            return f"TLS failed, {faults[0]}"
        if association.is_rejected:
            return "refuses the connection, check the AE titles"
        return "gives no answer" if self.tls is None else "gives no answer, or refuses the certificate of weakmask"

    def _send_one(self, association: Any, file: Path, one: Any) -> None:
        try:
            status = association.send_c_store(one).get("Status")
        except RuntimeError as error:
            raise UnreachableError(f"{self}: the connection broke; it is tried again later") from error
        if status is None or status in NO_ROOM:
            answer = "no answer" if status is None else f"no room ({status:#06x})"
            raise UnreachableError(f"{self}: {answer} to {file.name}; it is tried again later")
        if status not in STORED:
            raise UserError(f"{self}: refuses {file}, status {status:#06x}; see its log")


def remote_node(text: str, own_title: str, certificates: Certificates | None = None) -> RemoteNode:
    """The node of an address `AET@HOST:PORT`, or `tls://AET@HOST:PORT`.

    Args:
        text: The address.
        own_title: AE title that weakmask calls itself.
        certificates: For TLS; None: weakmask shows none, and trusts the authorities of the system.

    Raises:
        UserError: Another form, or a certificate cannot be used.
    """
    title, _, where = text.removeprefix(TLS).rpartition("@")
    host, _, port = where.rpartition(":")
    if not (title and host and port.isdigit() and 0 < int(port) < 2**16):
        raise UserError(f"{text}: expected AET@HOST:PORT or {TLS}AET@HOST:PORT, as PACS@127.0.0.1:104")
    check_title(title)
    tls = (certificates or Certificates()).of_sender() if text.startswith(TLS) else None
    return RemoteNode(title, host.strip("[]"), int(port), own_title, tls)
