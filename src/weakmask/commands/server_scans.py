"""Scans of `weakmask predict` that lie on a DICOMweb server: downloaded into the folder of the results, once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from weakmask.commands.scan_jobs import chosen_scans, print_left_out
from weakmask.errors import UserError
from weakmask.pacs.dicomweb_images import RemoteSeries, chosen_series, chosen_studies, download
from weakmask.pacs.dicomweb_server import DicomWebServer, Patience
from weakmask.pacs.server_address import is_address, server_address
from weakmask.progress import note, track
from weakmask.volume.dicom_series import find_series
from weakmask.volume.scan_files import ScanFile

Answer = TypeVar("Answer")  # 3.11 has no `def _tried[Answer]`
DOWNLOADS = "downloads"  # in the folder of the results, a folder for each series


@dataclass(frozen=True)
class Gathered:
    """Scans that were given as paths or as addresses.

    Attributes:
        scans: Paths and scans, downloaded ones behind the others.
        failures: A line for each study or series that could not be downloaded.
    """

    scans: Sequence[Path | ScanFile]
    failures: tuple[str, ...]


def gather_scans(words: Sequence[str], series: Sequence[str], out: Path, patience: Patience | None = None) -> Gathered:
    """The scans that paths and addresses stand for; a study that cannot be downloaded is named in one line.

    Args:
        words: Paths, or addresses of DICOMweb servers that choose studies.
        series: UIDs, numbers or descriptions of the series to read where there are several.
        out: The folder of the results.
        patience: Time that a server has to answer; None: the default.

    Raises:
        UserError: A path that does not exist, a faulty address, or nothing could be downloaded.
        MachineError: The folder cannot be written.
    """
    paths = [Path(word) for word in words if not is_address(word)]
    addresses = [server_address(word, chooses=True) for word in words if is_address(word)]
    scans = list(chosen_scans(paths, series)) if paths else []
    if not addresses:
        return Gathered(scans, ())
    failures: list[str] = []
    wanted: list[tuple[DicomWebServer, RemoteSeries]] = []
    for server in (DicomWebServer(address, patience or Patience()) for address in addresses):
        for study in _tried(lambda one=server: chosen_studies(one), failures) or []:
            found = _tried(lambda one=server, uid=study: chosen_series(one, uid, series), failures)
            wanted += [(server, one) for one in found or []]
    folders: list[Path] = []
    for server, one in track(wanted, "downloads", len(wanted)):
        folder = _tried(lambda a=server, b=one: download(a, b, out / DOWNLOADS), failures)
        folders += [] if folder is None else [folder]
    scans += _without_scouts(list(dict.fromkeys(folders)))
    if not scans:
        raise UserError(failures[0])
    for line in failures:
        print_left_out(line)
    return Gathered(scans, tuple(failures))


def _without_scouts(folders: Sequence[Path]) -> list[Path]:
    """The folders of series without those that hold scout views alone, unless all do."""
    if len(folders) == 1:
        return list(folders)
    scans: list[Path] = []
    scouts: list[Path] = []
    for folder in folders:
        localizers = [one.localizer for one in _tried(lambda place=folder: find_series(place), []) or []]
        (scouts if localizers and all(localizers) else scans).append(folder)
    for folder in scouts if scans else []:
        note(f"{folder}: only localizers; not a scan")
    return scans or scouts  # reading them says that they are localizers


def _tried(request: Callable[[], Answer], failures: list[str]) -> Answer | None:
    """The answer to a request; None if it failed, with a line more."""
    try:
        return request()
    except UserError as error:
        failures.append(str(error))
        return None
