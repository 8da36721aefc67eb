"""DICOM over TLS: only peers with a certificate of the authority are served, and each fault has its line."""

import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from listener_process import connected

from weakmask.errors import UserError
from weakmask.pacs.dicom_listener import Node, listening
from weakmask.pacs.dicom_node import remote_node
from weakmask.pacs.dicom_tls import Certificates
from weakmask.pacs.transfer_faults import UnreachableError
from weakmask.volume.volume import Volume

Run = Callable[..., tuple[int, list[str]]]
Take = Callable[[str, str, bytes], None]
PAST = datetime(2020, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's, of refused connections


class Files:
    """An authority, and files of certificates that it or another has signed for this machine."""

    def __init__(self, folder: Path) -> None:
        """Make them."""
        self._folder, self._authority, self._other = folder, trustme.CA(), trustme.CA()
        self.authority, self.other = folder / "authority.pem", folder / "other.pem"
        self._authority.cert_pem.write_to_path(self.authority)
        self._other.cert_pem.write_to_path(self.other)

    def certificate(self, name: str, *, host: str = "127.0.0.1", stranger: bool = False, expired: bool = False) -> Path:
        """A certificate with its key."""
        signer = self._other if stranger else self._authority
        file = self._folder / f"{name}.pem"
        begin, end = (PAST, PAST.replace(year=2021)) if expired else (None, None)
        issued = signer.issue_cert(host, not_before=begin, not_after=end)
        issued.private_key_and_cert_chain_pem.write_to_path(file)
        return file


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The authorities of all tests."""
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def image(phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path) -> Path:
    """A file to send."""
    return next(write_scan(tmp_path / "ct", phantom, "1.2.9").iterdir())


def node_of(certificates: Certificates) -> Node:
    """A listener with TLS."""
    return Node("PACS", ("WEAKMASK",), port=0, tls=certificates.of_listener())


def first(lines: list[str]) -> str:
    """The first line that another thread adds."""
    end = time.monotonic() + 30
    while not lines:
        assert time.monotonic() < end
        time.sleep(0.02)
    return lines[0]


def test_both_sides_show_a_certificate_of_the_authority(files: Files, image: Path) -> None:
    taken, refused = [], []
    trusted = Certificates(files.certificate("pacs"), authorities=files.authority)

    def take(series: str, uid: str, content: bytes) -> None:
        taken.append((uid, content))

    with listening(node_of(trusted), take, refused.append) as port:
        node = remote_node(f"tls://PACS@127.0.0.1:{port}", "WEAKMASK", trusted)
        assert str(node) == f"tls://PACS@127.0.0.1:{port}"
        node.send([image])
        assert [uid for uid, _ in taken] == [pydicom.dcmread(image).SOPInstanceUID]
        assert pydicom.dcmread(image).PixelData in taken[0][1]
        for sender, why in (
            (Certificates(authorities=files.authority), "it shows no certificate"),
            (Certificates(files.certificate("x", stranger=True), None, files.authority), "is not trusted: "),
            (
                Certificates(files.certificate("old", expired=True), None, files.authority),
                "trusted: certificate has expired",
            ),
        ):
            refused.clear()
            with pytest.raises(UnreachableError, match="gives no answer, or refuses the certificate of weakmask"):
                remote_node(f"tls://PACS@127.0.0.1:{port}", "WEAKMASK", sender).send([image])
            assert first(refused).startswith("127.0.0.1 was refused, as TLS failed: it")
            assert why in refused[0]
            assert len(refused) == 1
        refused.clear()
        with pytest.raises(UnreachableError, match="gives no answer"):
            remote_node(f"PACS@127.0.0.1:{port}", "WEAKMASK").send([image])
        assert first(refused) == "127.0.0.1 was refused, as TLS failed: it does not use TLS"
    assert len(taken) == 1


def test_a_sender_trusts_no_other_node(files: Files, image: Path) -> None:
    def refusal(own: Path, authorities: Path) -> str:
        """What the sender says of a listener that shows a certificate, and the listener of the sender."""
        refused: list[str] = []
        of_node = Certificates(own, any_peer=True)
        with listening(node_of(of_node), lambda *_: pytest.fail("an image came"), refused.append) as port:
            node = remote_node(f"tls://PACS@127.0.0.1:{port}", "WEAKMASK", Certificates(authorities=authorities))
            with pytest.raises(UnreachableError) as raised:
                node.send([image])
            assert "it refuses the certificate of weakmask" in first(refused)
        return str(raised.value)

    trusted = files.certificate("trusted")
    assert "TLS failed, its certificate is not trusted: " in refusal(trusted, files.other)
    assert "trusted: certificate has expired; it is tried again" in refusal(
        files.certificate("expired", expired=True), files.authority
    )
    other_name = files.certificate("elsewhere", host="pacs.example")
    assert "mismatch, certificate is not valid for '127.0.0.1'; it is" in refusal(other_name, files.authority)


def test_peers_without_certificates_are_taken_if_asked(files: Files, image: Path) -> None:
    taken = []
    with listening(
        node_of(Certificates(files.certificate("open"), any_peer=True)),
        lambda series, *_: taken.append(series),
        pytest.fail,
    ) as port:
        remote_node(f"tls://PACS@127.0.0.1:{port}", "WEAKMASK", Certificates(authorities=files.authority)).send([image])
    assert taken == ["1.2.9"]


def test_a_peer_that_says_nothing_keeps_no_other_waiting(files: Files) -> None:
    listener = Node(
        "WEAKMASK", ("PACS",), port=0, tls=Certificates(files.certificate("quiet"), any_peer=True).of_listener()
    )
    client = ssl.create_default_context(cafile=files.authority)
    with (
        listening(listener, lambda *_: None, lambda _: None) as port,
        socket.create_connection(("127.0.0.1", port)),
        connected(port, tls=client) as association,  # within its time limit, which is shorter than a handshake's
    ):
        assert association.is_established


def test_files_that_cannot_be_used_are_named_in_one_line(files: Files, tmp_path: Path, weakmask: Run) -> None:
    own, other = files.certificate("own"), files.certificate("another")
    empty, locked = tmp_path / "empty.pem", tmp_path / "locked.pem"
    empty.write_text("", encoding="utf-8")
    key = load_pem_private_key(own.read_bytes(), None)
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    missing = tmp_path / "missing.pem"
    for certificates, line in (
        (Certificates(own), "no authority is named that signs the certificates of peers; give --tls-authorities FILE"),
        (Certificates(missing, None, files.authority), f"{missing}: there is no such file"),
        (Certificates(own, missing, files.authority), f"{missing}: there is no such file"),
        (Certificates(own, None, missing), f"{missing}: there is no such file"),
        (Certificates(own, None, empty), f"{empty}: holds no certificate in PEM form"),
        (Certificates(own, other, files.authority), f"{other}: is not the key of the certificate {own}"),
        (Certificates(own, locked, files.authority), f"{locked}: the key has a password"),
        (Certificates(empty, None, files.authority), f"{empty}: expected a certificate and its key in PEM form"),
        (Certificates(files.authority, own, files.authority), f"{own}: is not the key of the certificate"),
        (Certificates(any_peer=True), "--tls-any-peer: the listener uses no TLS"),
    ):
        with pytest.raises(UserError) as raised:
            certificates.of_listener()
        assert str(raised.value).startswith(line)
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="a key without its certificate"):
        Certificates(key=own).of_sender()
    assert Certificates().of_listener() is None
    words = ["listen", tmp_path / "model", "--out", tmp_path / "out", "--peers", "PACS", "--tls-certificate", missing]
    assert weakmask(*words, "--tls-any-peer") == (
        2,
        [f"error {missing}: there is no such file; expected certificates or a key in PEM form"],
    )
