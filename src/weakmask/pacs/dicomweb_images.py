"""Images from a DICOMweb server: the series that an address chooses (QIDO-RS), each complete or absent (WADO-RS)."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydicom import Dataset

from weakmask.atomic_write import atomic_folder
from weakmask.errors import UserError
from weakmask.pacs.dicomweb_server import DicomWebServer
from weakmask.pacs.identifiers import is_uid
from weakmask.pacs.server_address import FILTERS
from weakmask.volume.dicom_file import file_bytes

PAGE = 500  # entries of a list that are asked for at a time
# kinds of series that hold no images; OT: secondary captures, our own among them
NO_IMAGES = {
    "SEG",
    "SR",
    "PR",
    "KO",
    "RTSTRUCT",
    "RTPLAN",
    "RTDOSE",
    "RTRECORD",
    "REG",
    "FID",
    "DOC",
    "AU",
    "ECG",
    "OT",
}
_STUDY, _SERIES, _IMAGE = "0020000D", "0020000E", "00080018"
_OF_SERIES = (_SERIES, "00080060", "00200011", "0008103E")  # as `RemoteSeries` has them


@dataclass(frozen=True)
class RemoteSeries:
    """A series on a server.

    Attributes:
        study: StudyInstanceUID.
        uid: SeriesInstanceUID.
        modality: CT, MR, SEG, ...; may be empty.
        number: SeriesNumber; may be empty.
        description: SeriesDescription; may be empty.
    """

    study: str
    uid: str
    modality: str = ""
    number: str = ""
    description: str = ""

    def is_called(self, words: Collection[str]) -> bool:
        """Whether one of some words is its UID, number or description."""
        names = {self.uid, self.number, self.description.casefold()} - {""}
        return any(word.casefold() in names for word in words)


def chosen_studies(server: DicomWebServer) -> list[str]:
    """UIDs of the studies that the address of a server chooses.

    Raises:
        UserError: No study, or the server does not answer.
    """
    query = server.address.query
    if "study" in query:
        return list(dict.fromkeys(query["study"]))
    filters = {word: query[word][0] for word in FILTERS if word in query}
    search = server.reader.search_for_studies
    found = _listed(server, "list of studies", search, (_STUDY,), search_filters=filters)
    if not found:
        wanted = ", ".join(f"{word}={value}" for word, value in filters.items())
        raise UserError(f"{server.address.url}: no study has {wanted}; check the value, wildcards (*) are allowed")
    return [uid for uid, *_ in found]


def chosen_series(server: DicomWebServer, study: str, words: Collection[str] = ()) -> list[RemoteSeries]:
    """The series of a study that hold images, or those that are chosen by name.

    Args:
        server: The server; its address may name series.
        study: UID of the study.
        words: UIDs, numbers or descriptions; none: all series that hold images.

    Raises:
        UserError: The study has no such series, or the server does not answer.
    """
    search = server.reader.search_for_series
    found = _listed(server, f"study {study}", search, _OF_SERIES, study_instance_uid=study)
    series = [RemoteSeries(study, *texts) for texts in found]
    named = server.address.query.get("series", ())
    if named:
        chosen = [one for one in series if one.uid in named]
    elif words:
        chosen = [one for one in series if one.is_called(words)]
    else:
        chosen = [one for one in series if one.modality not in NO_IMAGES]
    if chosen:
        return chosen
    has = ", ".join(f"{one.number or one.uid} ({one.modality} {one.description})" for one in series[:5])
    wanted = f"series {' or '.join(named or words)}" if named or words else "series of images"
    raise UserError(f"{server.address.url}: study {study} has no {wanted}; it has {has or 'no series at all'}")


def download(server: DicomWebServer, series: RemoteSeries, folder: Path) -> Path:
    """The folder of a series, which is downloaded unless it is there with all images that the server has now.

    Args:
        server: The server.
        series: The series.
        folder: Where the folders of all series lie; each is named after the UID of its series.

    Raises:
        UserError: The server does not answer, or does not send all images.
        MachineError: The folder cannot be written.
    """
    place, what = folder / series.uid, f"series {series.uid}"
    search = server.reader.search_for_instances
    uids = {"study_instance_uid": series.study, "series_instance_uid": series.uid}
    names = {f"{uid}.dcm" for uid, *_ in _listed(server, what, search, (_IMAGE,), **uids)}
    if not names:
        raise UserError(f"{server.address.url}: {what} has no images")
    if place.is_dir() and names <= {file.name for file in place.iterdir()}:
        return place
    with atomic_folder(place) as temporary:
        server.ask(what, lambda: _write_all(server, series, temporary))
        missing = names - {file.name for file in temporary.iterdir()}
        if missing:
            raise UserError(
                f"{server.address.url}: {what}: {len(missing)} of {len(names)} images did not come; ask the server for "
                "them in another program, or try again"
            )
    return place


def _write_all(server: DicomWebServer, series: RemoteSeries, folder: Path) -> None:
    """Write the images of a series as they come; a part of an earlier attempt is written again."""
    for image in _images_of(server, series):
        uid = str(image.SOPInstanceUID)
        if not is_uid(uid):
            raise ValueError(f"an image has the UID {uid}")
        (folder / f"{uid}.dcm").write_bytes(file_bytes(image, complete=False))


def _images_of(server: DicomWebServer, series: RemoteSeries) -> Iterator[Dataset]:
    """Ask for the images of a series as the server stores them, or else in the usual form."""
    from requests import HTTPError  # noqa: PLC0415 - of the extra `pacs`

    ask = partial(server.reader.iter_series, series.study, series.uid)
    try:
        return ask(media_types=(("application/dicom", "*"),))
    except HTTPError as error:
        if error.response is None or error.response.status_code != HTTPStatus.NOT_ACCEPTABLE:
            raise
        return ask()


def _listed(
    server: DicomWebServer, what: str, search: Callable[..., Any], tags: Sequence[str], **filters: Any
) -> list[tuple[str, ...]]:
    """Elements of all entries of a list, page by page, each entry once; those without a UID are left out.

    Args:
        server: The server.
        what: The list, for messages.
        search: Asks for a page.
        tags: The elements; the first is the UID.
        **filters: More for `search`.
    """
    found: dict[str, tuple[str, ...]] = {}

    def page() -> dict[str, tuple[str, ...]]:
        """The next page."""
        entries = search(limit=PAGE, offset=len(found), **filters)
        read = [tuple(_text(one, tag) for tag in tags) for one in entries]
        return {texts[0]: texts for texts in read if is_uid(texts[0])}

    while not (new := server.ask(what, page)).keys() <= found.keys():  # some servers send the same page for ever
        found.update(new)
    return list(found.values())


def _text(entry: Mapping[str, Any], tag: str) -> str:
    """The first value of an element in DICOM JSON; empty without one."""
    values = entry.get(tag, {}).get("Value") or [""]
    return str(values[0]).strip()
