"""Objects to a DICOMweb server (STOW-RS), one by one; a server that has an object already keeps one."""

from collections.abc import Sequence
from pathlib import Path

from weakmask.errors import UserError
from weakmask.pacs.dicomweb_server import DicomWebServer
from weakmask.pacs.transfer_faults import UnreachableError
from weakmask.volume.dicom_file import read_dataset

NO_ROOM = range(0xA700, 0xA800)  # out of resources


def store(server: DicomWebServer, files: Sequence[Path]) -> None:
    """Store objects.

    Args:
        server: The server.
        files: DICOM files.

    Raises:
        UnreachableError: The server does not answer, or refuses the user.
        UserError: The server refuses an object.
    """
    for file in files:
        stored = read_dataset(file)
        what = f"{file.parent.parent.name}, {file.name}"
        answer = server.ask(what, lambda one=stored: server.writer.store_instances([one]))
        for failed in answer.get("FailedSOPSequence", ()):
            reason = int(failed.get("FailureReason", 0))
            fault = UnreachableError if reason in NO_ROOM else UserError
            raise fault(
                f"{server.address.url}: {what}: the server refuses the object, reason {reason:#06x}; see its log"
            )
