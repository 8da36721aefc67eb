"""A DICOMweb server: the login, the waits and repeated requests, and the meaning of its refusals.

The user name and the password come from the environment or from `~/.netrc` (or the file that NETRC names), never from
an address or a command line.
"""

import logging
import os
import re
import warnings
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeVar

from weakmask.errors import MachineError, UserError
from weakmask.pacs.server_address import ServerAddress
from weakmask.pacs.transfer_faults import UnreachableError, extra_needed
from weakmask.progress import note

USER, PASSWORD, TOKEN = "WEAKMASK_DICOMWEB_USER", "WEAKMASK_DICOMWEB_PASSWORD", "WEAKMASK_DICOMWEB_TOKEN"
REFUSED_USER = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}
COME_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
PIECE, WHOLE = 2**20, 2**40  # bytes

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """Time that a server has to answer.

    Attributes:
        attempts: Of each request.
        first_wait_s: Seconds between the first two; each further wait is twice as long.
        connect_s: Seconds until a connection stands.
        read_s: Seconds between two pieces of an answer.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    connect_s: float = 10.0
    read_s: float = 120.0


@dataclass(frozen=True)
class DicomWebServer:
    """A DICOMweb server.

    Attributes:
        address: Its address.
        patience: Time that it has to answer.
    """

    address: ServerAddress
    patience: Patience = Patience()

    @cached_property
    def reader(self) -> Any:
        """The client of the library for lists and images, which come in pieces.

        Raises:
            UserError: The library is not installed, or the environment holds half a login.
        """
        return self._client(PIECE)

    @cached_property
    def writer(self) -> Any:
        """The client of the library for objects, whose bodies are sent whole, as some servers ask for their length.

        Raises:
            UserError: As `reader`.
        """
        return self._client(WHOLE)

    def ask(self, what: str, request: Callable[[], Answer]) -> Answer:
        """The answer to a request, which is repeated after ever longer waits if the server is at fault.

        Args:
            what: The request, for messages: `study 1.2.3`.
            request: Sends it; it may be called several times.

        Raises:
            UnreachableError: No answer, or the server refuses the user or asks to come again.
            UserError: The server refuses the request, or its answer is not DICOMweb.
        """
        from retrying import Retrying  # noqa: PLC0415 - of the extra `pacs`

        repeated = Retrying(
            stop_max_attempt_number=self.patience.attempts,
            wait_exponential_multiplier=500 * self.patience.first_wait_s,  # times 2 before the second attempt
            retry_on_exception=_may_pass,
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of servers and headers that leave the standard
                return repeated.call(request)
        except (UserError, MachineError, MemoryError):
            raise
        except Exception as error:  # a damaged answer makes libraries raise nearly anything
            fault = self._fault(f"{self.address.url}: {what}", error)
            if fault is None:
                raise
            raise fault from error

    def _client(self, piece: int) -> Any:
        try:
            from dicomweb_client import DICOMwebClient  # noqa: PLC0415 - of the extra `pacs`
        except ImportError as error:
            raise extra_needed(error) from error
        logging.getLogger("dicomweb_client").addHandler(logging.NullHandler())  # refusals become lines below
        times = (self.patience.connect_s, self.patience.read_s)
        made = {"session": self._session(), "timeout": times, "permissive_uid": True, "chunk_size": piece}
        client = DICOMwebClient(self.address.url, **made)
        client.set_http_retry_params(retry=False)  # they would not cover a connection that breaks
        return client

    def _session(self) -> Any:
        """A session with the login."""
        from requests import Session  # noqa: PLC0415 - of the extra `pacs`, as the next
        from requests.utils import get_netrc_auth  # noqa: PLC0415

        session = Session()
        user, password, token = (os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN))
        if bool(user) != bool(password):
            raise UserError(f"{USER} and {PASSWORD} belong together; set both, or none")
        if not (user or token):
            user, password = get_netrc_auth(self.address.url) or ("", "")
        if user:
            session.auth = _Login("Basic " + b64encode(f"{user}:{password}".encode()).decode())
        elif token:
            session.auth = _Login(f"Bearer {token}")
        if self.address.is_open and session.auth is not None:
            note(f"{self.address.host}: the password is sent over http, which others can read; use dicomwebs://")
        return session

    def _fault(self, where: str, error: Exception) -> UserError | None:
        """The error for a request that failed; None for a fault of this machine."""
        from requests import HTTPError, RequestException, exceptions  # noqa: PLC0415 - of the extra `pacs`

        if isinstance(error, HTTPError):
            return self._refusal(where, error.response)
        if isinstance(error, exceptions.SSLError):
            own = "name that of your hospital in REQUESTS_CA_BUNDLE"
            return UnreachableError(f"{where}: the certificate of the server is not trusted; {own}")
        if isinstance(error, RequestException) and not isinstance(error, ValueError):
            attempts = f"{self.patience.attempts} attempts"
            return UnreachableError(f"{where}: no answer after {attempts} ({_reason(error)}); try again later")
        if isinstance(error, OSError) and not isinstance(error, RequestException):
            return None
        return UserError(f"{where}: the answer is not DICOMweb ({error}); check the path of the address")

    def _refusal(self, where: str, response: Any) -> UserError:
        """The error that a status stands for."""
        status = int(response.status_code)
        answer = f"{where}: the server answers {status} {response.reason or ''}".rstrip()
        if status in REFUSED_USER:
            login = f"set {USER} and {PASSWORD}, or a line for {self.address.host} in ~/.netrc"
            return UnreachableError(f"{answer}; {login}")
        if status == HTTPStatus.NOT_FOUND:
            return UnreachableError(f"{answer}; check the path of the address and the UIDs")
        if _asks_again(status):
            return UnreachableError(f"{answer}, after {self.patience.attempts} attempts; try again later")
        return UserError(f"{answer}; see the log of the server")


class _Login:
    """A login, which every request carries; requests itself would not send it as UTF-8."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: Any) -> Any:
        """Add the login to a request."""
        request.headers["Authorization"] = self._header
        return request


def _may_pass(error: BaseException) -> bool:
    """Whether a fault may be gone at the next attempt: of the connection, or of the server itself."""
    from requests import HTTPError, RequestException, exceptions  # noqa: PLC0415 - of the extra `pacs`

    if isinstance(error, HTTPError) and error.response is not None:
        return _asks_again(error.response.status_code)
    lasting = (exceptions.SSLError, ValueError)  # of URLs and JSON
    return isinstance(error, RequestException) and not isinstance(error, lasting)


def _asks_again(status: int) -> bool:
    return status in COME_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _reason(error: BaseException) -> str:
    """The system's words for a fault of the network, or the kind of fault."""
    found = re.findall(r"\[Errno -?\d+\] ([\w ]+)", str(error))
    return found[-1] if found else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
