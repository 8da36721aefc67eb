"""`weakmask listen`: a DICOM node that segments every series that a PACS sends, and sends the results back.

OUT/
  UID/              the result of a series, as of `weakmask predict`
  images/UID/       its images, until their room is needed; see `pacs.received_images`
  handled/UID.json  its images, once its results are done
  failed/UID/       the images of a series that could not be segmented; failed/UID.txt says why
  status.json       the last event, with the numbers of images and series
  listen.json       that `weakmask listen` owns the folder

A series is segmented once no new image of it has come for some seconds. An image is on the disk before it is
acknowledged, and a series is handled once its results are on the disk and sent, so that a kill at any moment loses
nothing; the same command goes on.
"""

import json
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from weakmask.atomic_write import atomic_file
from weakmask.commands.output_folder import open_output
from weakmask.commands.prediction_tables import Records
from weakmask.commands.scan_jobs import each_scan, find_jobs
from weakmask.commands.scan_work import Asked, Work, folder_of, outputs_for
from weakmask.errors import MachineError, UserError, is_machine_fault
from weakmask.folder_lock import locked
from weakmask.inference.trained_model import Model
from weakmask.pacs.dicom_listener import Node, listening
from weakmask.pacs.received_images import ReceivedImages
from weakmask.pacs.transfer_faults import UnreachableError
from weakmask.regions.scan_regions import RegionSource
from weakmask.volume.dicom_series import find_series

LOOK_EVERY_S = 0.5
FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 600.0  # before a series that a server or the machine failed is tried again
REFUSALS_EVERY_S = 60.0  # between two events about refused images
STATUS = "status.json"

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Wishes:
    """Settings of a listener.

    Attributes:
        quiet_s: Seconds without a new image after which a series is segmented.
        most_bytes: Size of the whole folder at which images are refused.
        series: UIDs, numbers or descriptions of the series to segment; none: all. Others are taken and ignored.
        asked: Wishes for each result, as of `predict`; its target takes the results.
    """

    quiet_s: float = 30.0
    most_bytes: float = 100e9
    series: tuple[str, ...] = ()
    asked: Asked = field(default_factory=lambda: Asked(objects="bits"))


def listen(
    model: Model,
    out: Path,
    node: Node,
    wishes: Wishes,
    regions: RegionSource,
    report: Report,
    end: threading.Event | None = None,
) -> None:
    """Listen and segment until the process is stopped.

    Args:
        model: The model.
        out: The folder of images and results.
        node: The listener in the network.
        wishes: Its settings.
        regions: Where the regions of scans come from.
        report: Is called with each event, as plain values.
        end: Ends the work; None: a signal does.

    Raises:
        UserError: The port or the folder is in use.
        MachineError: The folder cannot be written at the start.
    """
    end = end or threading.Event()
    open_output(out, "listen", [])
    with locked(out):
        images = ReceivedImages(out, wishes.most_bytes)
        worker = _Worker(model, out, wishes, regions, images, report)
        with listening(node, worker.take, worker.refuse) as port:
            worker.say("listening", aet=node.title, host=node.host, port=port, peers=list(node.peers))
            try:
                while not end.is_set():
                    series = images.quiet(wishes.quiet_s)
                    if series is None:
                        end.wait(LOOK_EVERY_S)
                    else:
                        worker.handle(series)
            finally:
                worker.say("stopped")


@dataclass
class _Worker:
    """The work of a listener: images come in its threads, series are handled one at a time."""

    model: Model
    out: Path
    wishes: Wishes
    regions: RegionSource
    images: ReceivedImages
    report: Report
    _waits: dict[str, float] = field(default_factory=dict)
    _refused_at: float = -REFUSALS_EVERY_S
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, event: str, **values: Any) -> None:
        """Report an event with the state, and keep it in the status file."""
        state = {"event": event, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **values, **self.images.counts()}
        with self._lock:
            try:
                with atomic_file(self.out / STATUS) as temporary:
                    temporary.write_text(json.dumps(state) + "\n", encoding="utf-8")
            except MachineError as error:  # a full disk, which refused images tell, too
                state["status_file"] = str(error)
            self.report(state)

    def take(self, series: str, image: str, content: bytes) -> None:
        """Store an image."""
        if self.images.store(series, image, content):
            self.say("receiving", series=series)

    def refuse(self, line: str) -> None:
        """Report that an image or a peer was refused; one a minute, as a PACS tries again and again."""
        if time.monotonic() - self._refused_at >= REFUSALS_EVERY_S:
            self._refused_at = time.monotonic()
            self.say("refused", error=line)

    def handle(self, series: str) -> None:
        """Segment a series and send its results; a fault costs one line, and no fault ends the listener."""
        names, start = self.images.names_of(series), time.monotonic()
        if names:
            self.say("segmenting", series=series, images=len(names))
        try:
            folders = self._results(series, names) if names else []  # a person may have taken them away
            self.images.recount()
            finished = self.images.finish(series, names)
        except UnreachableError as error:
            self._try_later("not sent", series, str(error))
        except MachineError as error:
            self._try_later("interrupted", series, str(error))
        except UserError as error:
            self._give_up(series, names, str(error))
        except Exception as error:  # noqa: BLE001 (one series must not end the service)
            if is_machine_fault(error) or isinstance(error, PermissionError):
                self._try_later("interrupted", series, str(error))
            else:
                last = traceback.format_exc().strip()
                self._give_up(series, names, f"a fault of the program, please report it: {last}")
        else:
            if finished and names:
                self._waits.pop(series, None)
                seconds = round(time.monotonic() - start, 1)
                self.say("done" if folders else "ignored", series=series, results=folders, seconds=seconds)

    def _results(self, series: str, names: frozenset[str]) -> list[str]:
        """The folders of the results of a series, which have been sent, unless images came meanwhile; none: ignored.

        Raises:
            UnreachableError: The results could not be sent now.
            UserError: The series, or a part of it, cannot be segmented, or its results are refused.
        """
        lacking = self.images.lacking(series)
        if lacking:
            raise UserError(f"{lacking} images were removed after the series was done; send the whole series again")
        place, asked = self.images.place_of(series), self.wishes.asked
        if self._is_ignored(place):
            return []
        work = Work(self.model, self.regions, self.out, Records(), replace(asked, target=None))
        jobs, _ = find_jobs([place], partial(outputs_for, self.out, self.model, False))  # noqa: FBT003 (partial)
        done = each_scan(jobs, "scans", work.of)
        if asked.target is not None and self.images.names_of(series) == names:
            for job, record in done.results:
                asked.target.send_result(folder_of(job), record)
        if done.failures:
            raise UserError(done.failures[0])
        return [str(folder_of(job)) for job, _ in done.results]

    def _is_ignored(self, place: Path) -> bool:
        """Whether a series holds scout views alone, or is not one of those that are segmented."""
        found = find_series(place)
        wanted = [one for one in found if not self.wishes.series or any(map(one.is_called, self.wishes.series))]
        return bool(found) and all(one.localizer for one in wanted)

    def _try_later(self, event: str, series: str, line: str) -> None:
        """Let a series wait ever longer, as long as a server or the machine is at fault."""
        wait = min(2 * self._waits.get(series, FIRST_WAIT_S / 2), LONGEST_WAIT_S)
        self._waits[series] = wait
        self.images.postpone(series, wait)
        self.say(event, series=series, error=line, again_in_s=wait)

    def _give_up(self, series: str, names: frozenset[str], line: str) -> None:
        """Put a series aside."""
        try:
            if self.images.fail(series, names, line):
                self._waits.pop(series, None)
                self.say("failed", series=series, error=line.splitlines()[-1])
        except MachineError as error:
            self._try_later("interrupted", series, str(error))
