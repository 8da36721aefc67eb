"""Addresses of DICOMweb servers, as users write them: `dicomweb://HOST:PORT/PATH?study=UID`."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from weakmask.errors import UserError
from weakmask.pacs.identifiers import is_uid

SCHEMES = {"dicomweb": "http", "dicomwebs": "https", "http": "http", "https": "https"}
UIDS = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID"}  # words of a query that hold UIDs
FILTERS = ("PatientID", "AccessionNumber", "StudyDate")  # other words, which choose studies
EXAMPLE = "dicomweb://HOST:PORT/PATH?study=UID"


@dataclass(frozen=True)
class ServerAddress:
    """The address of a DICOMweb server.

    Attributes:
        url: Of the service, http or https, without a query.
        host: Name or number of its machine.
        query: Word -> values, which choose studies and series: study, series, PatientID, AccessionNumber, StudyDate.
    """

    url: str
    host: str
    query: Mapping[str, tuple[str, ...]]

    @property
    def is_open(self) -> bool:
        """Whether everybody on the way can read along: http, to another machine."""
        return self.url.startswith("http:") and self.host not in {"localhost", "127.0.0.1", "::1"}


def is_address(text: str) -> bool:
    """Whether a text is the address of a server, and no path."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def server_address(text: str, *, chooses: bool) -> ServerAddress:
    """The address that a text holds.

    Args:
        text: `dicomweb://` stands for http, `dicomwebs://` for https; both may be written so, too.
        chooses: Whether it chooses studies; else it has no query.

    Raises:
        UserError: No address, a password in it, an unknown word in the query, or none that chooses a study.
    """
    parts, host = _split(text)
    query = _query(parts, host)
    if query and not chooses:
        raise UserError(f"{host}: results are stored at a server, not at a study; leave out ?{parts.query}")
    if chooses and not query:
        raise UserError(f"{host}: no study is chosen; add ?study=UID, or a filter: {', '.join(FILTERS)}")
    if chooses and set(query) == {"series"}:
        raise UserError(f"{host}: a series is found by its study; add study=UID to the address")
    netloc = parts.netloc
    return ServerAddress(urlunsplit((SCHEMES[parts.scheme], netloc, parts.path.rstrip("/"), "", "")), host, query)


def _split(text: str) -> tuple[SplitResult, str]:
    """The parts of an address, and the host; no message shows a password."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if "@" in parts.netloc:
        raise UserError(
            f"{host}: an address with a user name or a password is refused, as other users of the machine see it; put "
            "them into ~/.netrc, or into WEAKMASK_DICOMWEB_USER and WEAKMASK_DICOMWEB_PASSWORD"
        )
    if not host or parts.scheme not in SCHEMES:
        raise UserError(f"not the address of a DICOMweb server; expected {EXAMPLE}, with dicomwebs:// for https")
    return parts, host


def _query(parts: SplitResult, host: str) -> dict[str, tuple[str, ...]]:
    """The words of the query with their values."""
    try:
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise UserError(f"{host}: ?{parts.query} is no query; expected {EXAMPLE}") from error
    for word, values in query.items():
        if word not in {*UIDS, *FILTERS}:
            raise UserError(f"{host}: unknown word {word} in the address; expected {', '.join((*UIDS, *FILTERS))}")
        for value in values:
            if word in UIDS and not is_uid(value):
                raise UserError(f"{host}: {word}={value} is not a UID; expected digits and dots, as 1.2.840.113619")
            if not value:
                raise UserError(f"{host}: {word} has no value in the address; expected {word}=...")
    return {word: tuple(values) for word, values in query.items()}
