"""A DICOM node that takes images (C-STORE) from peers that it knows, and answers C-ECHO."""

import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom import dcmread, uid

from weakmask.errors import MachineError, UserError
from weakmask.pacs.dicom_tls import shake_hands
from weakmask.pacs.identifiers import MAKER, is_uid
from weakmask.pacs.transfer_faults import extra_needed

TAKEN, NO_ROOM, NOT_AN_IMAGE, UNREADABLE = 0x0000, 0xA700, 0xA900, 0xC000  # statuses of C-STORE
SYNTAXES = [  # the forms of pixels that are read, the plain ones first
    uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless, uid.JPEG2000, uid.RLELossless,
]  # fmt: skip
VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
LONGEST_TITLE = 16  # characters
SECONDS = 60.0  # without a word of the peer, after which a connection ends
MOST_AT_ONCE = 10  # connections
PIECE = 2**17  # bytes of a message
SECONDS_TO_END = 5.0  # that connections have to end when the listener ends

Take = Callable[[str, str, bytes], None]


@dataclass(frozen=True)
class Node:
    """The listener in the network.

    Attributes:
        title: Its AE title.
        peers: AE titles of the nodes that may send.
        host: Address of this machine that it listens at.
        port: Its port; 0: any that is free.
        tls: Its certificates; None: it uses no TLS.
    """

    title: str
    peers: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 11112
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        """Check the titles, and that the library is there.

        Raises:
            UserError: A title that DICOM does not allow, no peer, or the library is not installed.
        """
        network_library()
        if not self.peers:
            raise UserError("no peer may send; name the AE titles of the nodes that may, as --peers PACS1,PACS2")
        for title in (self.title, *self.peers):
            check_title(title)


def network_library() -> Any:
    """The module pynetdicom.

    Raises:
        UserError: It is not installed.
    """
    try:
        import pynetdicom  # noqa: PLC0415 - of the extra `pacs`
    except ImportError as error:
        raise extra_needed(error) from error
    return pynetdicom


def check_title(title: str) -> None:
    """Check an AE title.

    Raises:
        UserError: DICOM does not allow it.
    """
    printable = title.isascii() and title.isprintable() and "\\" not in title
    if not (printable and 0 < len(title) <= LONGEST_TITLE and title == title.strip()):
        raise UserError(f"AE title {title!r}: expected 1 to {LONGEST_TITLE} plain characters, as WEAKMASK")


@contextmanager
def listening(node: Node, take: Take, refused: Callable[[str], None]) -> Iterator[int]:
    """Listen while the block runs; yields the port.

    Args:
        node: The listener.
        take: Is called with the UID of the series, that of the image, and the file; an image is acknowledged once it
            returns. A MachineError refuses the image for lack of room, so that the peer sends it again.
        refused: Is called with a line for each image or peer that is refused.

    Raises:
        UserError: The port is in use.
    """
    library = network_library()

    def stored(event: Any) -> int:
        """The status that answers an image."""
        return _status(event.encoded_dataset, take, refused)

    def rejected(event: Any) -> None:
        """Say which peer was refused."""
        asked = event.assoc.requestor
        refused(f"{asked.ae_title} at {asked.address} was refused; --peers names those that may send to {node.title}")

    def opened(event: Any) -> None:
        """Do the handshake of a connection."""
        shake_hands(event, lambda why: refused(f"{event.address[0]} was refused, as TLS failed: {why}"))

    def closed(event: Any) -> None:
        """End a connection that closed without a request; the library waits for one, and counts it as open."""
        if event.assoc.requestor.primitive is None:
            event.assoc.dul.to_user_queue.put(None)

    entity = library.AE(ae_title=node.title)
    entity.require_called_aet, entity.require_calling_aet = True, list(node.peers)
    entity.maximum_associations, entity.maximum_pdu_size = MOST_AT_ONCE, PIECE
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = SECONDS
    entity.add_supported_context(VERIFICATION)
    for context in library.AllStoragePresentationContexts:
        if context.abstract_syntax is not None and "Image Storage" in context.abstract_syntax.name:
            entity.add_supported_context(context.abstract_syntax, SYNTAXES)
    events = library.evt
    handlers = [(events.EVT_C_STORE, stored), (events.EVT_REJECTED, rejected)]
    handlers += [(events.EVT_CONN_OPEN, opened), (events.EVT_CONN_CLOSE, closed)]
    try:
        where = (node.host, node.port)
        server: Any = entity.start_server(where, block=False, ssl_context=node.tls, evt_handlers=handlers)
    except OSError as error:
        raise UserError(
            f"cannot listen at {node.host}:{node.port}: {error.strerror}; choose another --host or --port"
        ) from error
    server.daemon_threads = True  # a handshake must not keep the process
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        for association in entity.active_associations:
            _end(association)


def _end(association: Any) -> None:
    """End a connection; the library cannot abort one that has not asked for anything."""
    if association.requestor.primitive is not None:
        association.abort()
    elif association.dul.socket.socket is not None:
        with suppress(OSError):
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    association.join(SECONDS_TO_END)


def _status(encoded: Callable[[], bytes], take: Take, refused: Callable[[str], None]) -> int:
    """Take an image; the objects of weakmask itself, which a PACS may send on, are acknowledged and dropped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that leave the standard
            content = encoded()
            tags = ["SeriesInstanceUID", "SOPInstanceUID", "Manufacturer"]
            header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=tags)
            series, image = str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
            own = header.get("Manufacturer") == MAKER
    except MemoryError:
        refused("not enough memory for an image")
        return NO_ROOM
    except Exception as error:  # noqa: BLE001 (a damaged header makes pydicom raise nearly anything)
        refused(f"an image cannot be read ({error})")
        return UNREADABLE
    if not (is_uid(series) and is_uid(image)):
        refused(f"an image without UIDs that are digits and dots: series {series!r}, image {image!r}")
        return NOT_AN_IMAGE
    try:
        if not own:
            take(series, image, content)
    except (MachineError, MemoryError, OSError) as error:
        refused(f"series {series}: {error}")
        return NO_ROOM
    return TAKEN
