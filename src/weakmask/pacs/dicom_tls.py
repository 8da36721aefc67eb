"""DICOM over TLS: certificates, and the handshake of a connection (DICOM PS3.15, secure transport)."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakmask.errors import UserError

SECONDS = 10.0  # that a handshake may take
NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"}
NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


@dataclass(frozen=True)
class Certificates:
    """Files of certificates, in PEM form.

    Attributes:
        own: The certificate that weakmask shows, with those of the authorities between; None: it shows none.
        key: Its private key; None: in the same file.
        authorities: The certificates of the authorities that weakmask trusts; None: those of the system.
        any_peer: Whether the listener takes peers without a certificate, too.
    """

    own: Path | None = None
    key: Path | None = None
    authorities: Path | None = None
    any_peer: bool = False

    def of_listener(self) -> ssl.SSLContext | None:
        """TLS of a listener; None without a certificate: it listens without TLS.

        Raises:
            UserError: A file is missing or damaged, the key is of another certificate, or no authority is named.
        """
        if self.own is None:
            if self.any_peer:
                raise UserError(
                    "--tls-any-peer: the listener uses no TLS; name its certificate, as --tls-certificate FILE"
                )
            return None
        context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
        if not self.any_peer:
            if self.authorities is None:
                raise UserError(
                    "no authority is named that signs the certificates of peers; give --tls-authorities FILE,"
                    " or take all peers with --tls-any-peer"
                )
            context.verify_mode = ssl.CERT_REQUIRED
        return self._filled(context)

    def of_sender(self) -> ssl.SSLContext:
        """TLS of a sender, which checks the certificate and the name of the other side.

        Raises:
            UserError: A file is missing or damaged, or the key is of another certificate.
        """
        return self._filled(_LateHandshake(ssl.PROTOCOL_TLS_CLIENT))

    def _filled(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """The context with the files."""
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.key is not None and self.own is None:
            raise UserError(f"{self.key}: a key without its certificate; give --tls-certificate FILE, too")
        for file in (self.own, self.key, self.authorities):
            if file is not None and not file.is_file():
                raise UserError(f"{file}: there is no such file; expected certificates or a key in PEM form")
        if self.authorities is None:
            context.load_default_certs()
        else:
            try:
                context.load_verify_locations(self.authorities)
            except OSError as error:
                raise UserError(f"{self.authorities}: holds no certificate in PEM form ({_why(error)})") from error
        if self.own is not None:
            self._load_own(context, self.own, self.key or self.own)
        return context

    @staticmethod
    def _load_own(context: ssl.SSLContext, own: Path, key: Path) -> None:
        """Load the certificate and its key."""

        def password() -> str:
            """Refuse a key that would ask a person."""
            raise UserError(f"{key}: the key has a password; give a copy without one that others cannot read")

        try:
            context.load_cert_chain(own, key, password)
        except OSError as error:
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                raise UserError(
                    f"{key}: is not the key of the certificate {own}; give the one it was made with"
                ) from error
            files = str(own) if key == own else f"{own} and {key}"
            raise UserError(f"{files}: expected a certificate and its key in PEM form ({_why(error)})") from error


class _LateHandshake(ssl.SSLContext):
    """TLS whose handshake is done by `shake_hands`, so that a peer that says nothing keeps no other waiting."""

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        """The socket, before its handshake."""
        return super().wrap_socket(*arguments, **{**named, "do_handshake_on_connect": False})


def shake_hands(event: Any, failed: Callable[[str], None]) -> None:
    """Do the handshake of a connection that was opened; one that fails is closed.

    Args:
        event: The event EVT_CONN_OPEN of pynetdicom.
        failed: Is called with the reason of a failure.
    """
    connection = event.assoc.dul.socket.socket
    if not isinstance(connection, ssl.SSLSocket):
        return
    seconds = connection.gettimeout()
    try:
        connection.settimeout(SECONDS)
        connection.do_handshake()
        connection.settimeout(seconds)
    except (OSError, ValueError) as error:
        failed(_why(error))
        connection.close()


def _why(error: Exception) -> str:
    """The reason of a fault of TLS."""
    reason = str(getattr(error, "reason", None) or error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, TimeoutError):
        return f"no handshake within {SECONDS:.0f} seconds"
    if reason in NO_TLS:
        return "it does not use TLS"
    if reason == NO_CERTIFICATE:
        return "it shows no certificate"
    if "_ALERT_" in reason:
        return f"it refuses the certificate of weakmask ({reason})"
    return reason
