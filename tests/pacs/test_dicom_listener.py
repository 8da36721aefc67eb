"""The listener in the network: known peers, images on the disk before they are acknowledged, one status per fault."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from listener_process import LITTLE_ENDIAN, connected
from own_orthanc import free_port

from weakmask.errors import MachineError, UserError
from weakmask.pacs.dicom_listener import Node, listening
from weakmask.pacs.dicom_node import remote_node
from weakmask.pacs.received_images import ReceivedImages
from weakmask.pacs.transfer_faults import UnreachableError
from weakmask.volume.volume import Volume


@pytest.fixture
def image(phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path) -> pydicom.Dataset:
    return pydicom.dcmread(next(write_scan(tmp_path / "ct", phantom, "1.2.9").iterdir()))


def test_an_image_is_on_the_disk_before_it_is_acknowledged(image: pydicom.Dataset, tmp_path: Path) -> None:
    images, refused = ReceivedImages(tmp_path / "out", 1e9), []
    file = tmp_path / "out" / "images" / "1.2.9" / f"{image.SOPInstanceUID}.dcm"
    with listening(Node("WEAKMASK", ("PACS",), port=0), images.store, refused.append) as port, connected(port) as peer:
        assert peer.send_c_store(image).Status == 0x0000
        stored = pydicom.dcmread(file)
        assert stored == image
        assert stored.file_meta.TransferSyntaxUID == LITTLE_ENDIAN
        own = pydicom.dcmread(image.filename)
        own.Manufacturer, own.SeriesInstanceUID = "weakmask", "1.2.10"
        assert peer.send_c_store(own).Status == 0x0000  # what a PACS sends back is not segmented again
        assert images.counts()["received"] == 1
    assert not refused


def test_unknown_titles_are_refused(tmp_path: Path) -> None:
    refused: list[str] = []
    with listening(Node("WEAKMASK", ("PACS", "OTHER"), port=0), lambda *_: None, refused.append) as port:
        for title, called in (("NOBODY", "WEAKMASK"), ("PACS", "SOMEBODY")):
            with pytest.raises(AssertionError, match="refused"), connected(port, title, called):
                pass
        with connected(port, "OTHER"):
            pass
    assert len(refused) == 2
    assert "NOBODY at 127.0.0.1 was refused; --peers names those that may send to WEAKMASK" in refused[0]


@pytest.mark.filterwarnings("ignore:.*for VR UI")
def test_images_without_room_or_without_names_have_a_status_of_their_own(
    image: pydicom.Dataset, tmp_path: Path
) -> None:
    images, refused = ReceivedImages(tmp_path / "out", 1000), []

    def take(series: str, uid: str, content: bytes) -> None:
        if len(refused) == 1:
            raise OSError(28, "No space left on device")
        images.store(series, uid, content)

    with listening(Node("WEAKMASK", ("PACS",), port=0), take, refused.append) as port, connected(port) as peer:
        assert peer.send_c_store(image).Status == 0xA700  # above --max-gigabytes
        assert peer.send_c_store(image).Status == 0xA700  # no space
        for series in ("../../etc", "1.2..3", "", "1" * 65):
            image.add_new("SeriesInstanceUID", "UI", series)
            assert peer.send_c_store(image).Status == 0xA900
    assert "may hold 0.0 GB" in refused[0]
    assert not list((tmp_path / "out" / "images").iterdir())


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # of a connection that is refused
def test_a_node_takes_objects_or_says_why_not(image: pydicom.Dataset, tmp_path: Path) -> None:
    file, taken = Path(image.filename), []

    def take(series: str, uid: str, content: bytes) -> None:
        if taken:
            raise MachineError("full")
        taken.append(uid)

    with listening(Node("PACS", ("WEAKMASK",), port=0), take, lambda _: None) as port:
        node = remote_node(f"PACS@127.0.0.1:{port}", "WEAKMASK")
        node.send([file])
        assert taken == [image.SOPInstanceUID]
        with pytest.raises(UnreachableError, match="no room \\(0xa700\\) to"):
            node.send([file])
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
        image.save_as(tmp_path / "seg.dcm")
        with pytest.raises(UserError, match="does not take Segmentation Storage"):
            node.send([tmp_path / "seg.dcm"])
        with pytest.raises(UnreachableError, match="refuses the connection, check the AE titles"):
            remote_node(f"PACS@127.0.0.1:{port}", "OTHER").send([file])
    with pytest.raises(UnreachableError, match="gives no answer"):
        remote_node(f"PACS@127.0.0.1:{free_port()}", "WEAKMASK").send([file])


def test_connections_without_a_word_take_no_place_from_others() -> None:
    """As those of a monitor that asks whether the port is open."""
    with listening(Node("WEAKMASK", ("PACS",), port=0), lambda *_: None, lambda _: None) as port:
        before = threading.active_count()
        for _ in range(12):
            socket.create_connection(("127.0.0.1", port)).close()
        with connected(port):
            pass
        end = time.monotonic() + 20
        while threading.active_count() > before:
            assert time.monotonic() < end, threading.enumerate()
            time.sleep(0.02)


def test_titles_and_addresses_that_are_refused() -> None:
    for title in ("", " A", "A" * 17, "A\\B", "\u00e4"):
        with pytest.raises(UserError, match="expected 1 to 16 plain characters"):
            Node(title, ("PACS",))
    with pytest.raises(UserError, match="no peer may send"):
        Node("WEAKMASK", ())
    for text in ("PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:port"):
        with pytest.raises(UserError, match="expected AET@HOST:PORT"):
            remote_node(text, "WEAKMASK")
    with (
        listening(Node("A", ("B",), port=0), lambda *_: None, lambda _: None) as port,
        pytest.raises(UserError, match=r"cannot listen at 127.0.0.1.*in use; choose another"),
        listening(Node("A", ("B",), port=port), lambda *_: None, lambda _: None),
    ):
        pass
