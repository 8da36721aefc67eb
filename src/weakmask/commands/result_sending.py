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
from weakmask.pacs.dicomweb_objects import store
from weakmask.pacs.dicomweb_server import DicomWebServer, Patience
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


def dicomweb_target(address: str, patience: Patience | None = None) -> Target:
    """The DICOMweb server of an address, as a target.

    Args:
        address: `dicomweb://HOST:PORT/PATH`.
        patience: Time that the server has to answer; None: the default.

    Raises:
        UserError: No address, or one with a password or a study.
    """
    server = DicomWebServer(server_address(address, chooses=False), patience or Patience())
    _ = server.writer  # a missing library is found before any work
    return Target(server.address.url, lambda files: store(server, files))


def _arrived(file: Path) -> dict[str, dict[str, Any]]:
    """Content of the record; empty without a readable one."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {str(target): dict(objects) for target, objects in content.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        refuse_machine_fault(error, file)
        return {}
