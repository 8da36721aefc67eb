"""DICOM objects of results on their way to a PACS, and the record of those that arrived.

NAME/stored.json   target -> digest of each object that it took; the same object is not sent again
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.inference.scan_record import ScanRecord
from weakmask.pacs.dicom_node import remote_node
from weakmask.pacs.dicom_tls import Certificates
from weakmask.pacs.dicomweb_objects import store as store_objects
from weakmask.pacs.dicomweb_server import DicomWebServer
from weakmask.pacs.server_address import server_address

STORED = "stored.json"


@dataclass(frozen=True)
class Target:
    """A place that results are sent to.

    Attributes:
        name: Its address.
        send: Sends files; raises UserError.
    """

    name: str
    send: Callable[[Sequence[Path]], None]

    def send_result(self, folder: Path, record: ScanRecord) -> bool:
        """Send the objects of a result that the target does not have yet; returns whether there were any.

        Args:
            folder: The folder of the result.
            record: Its record.

        Raises:
            UnreachableError: The target gives no answer now.
            UserError: The result has no objects, or the target refuses one.
            MachineError: The folder cannot be written.
        """
        objects = {name: digest for name, digest in record.files.items() if name.endswith(".dcm")}
        if not objects:
            raise UserError(f"{folder}: has no DICOM objects to send; its scan is not DICOM, or a note says why")
        arrived = _arrived(folder / STORED)
        missing = [name for name, digest in objects.items() if arrived.get(self.name, {}).get(name) != digest]
        if not missing:
            return False
        self.send([folder / name for name in missing])
        with atomic_file(folder / STORED) as temporary:
            temporary.write_text(json.dumps({**arrived, self.name: objects}, indent=1) + "\n", encoding="utf-8")
        return True


def target_of(
    store: str | None, send: str | None = None, own_title: str = "WEAKMASK", certificates: Certificates | None = None
) -> Target | None:
    """The place that results go to; None: to none.

    Args:
        store: The address of a DICOMweb server, `dicomweb://HOST:PORT/PATH`.
        send: A DICOM node, `AET@HOST:PORT`, or `tls://AET@HOST:PORT`.
        own_title: AE title that weakmask calls itself.
        certificates: For a node that uses TLS.

    Raises:
        UserError: Both are given, one is no address, or a library is not installed.
    """
    if store is not None and send is not None:
        raise UserError("results go to one place; give --store or --send")
    if send is not None:
        node = remote_node(send, own_title, certificates)
        return Target(str(node), node.send)
    if store is None:
        return None
    server = DicomWebServer(server_address(store, chooses=False))
    _ = server.writer  # a missing library is found before any work
    return Target(server.address.url, lambda files: store_objects(server, files))


def _arrived(file: Path) -> dict[str, dict[str, Any]]:
    """Content of the record; empty without a readable one."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {str(target): dict(objects) for target, objects in content.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        refuse_machine_fault(error, file)
        return {}
