"""Images that a PACS sends, on the disk before they are acknowledged, and the state of their series.

OUT/
  images/UID/       the images of a series, each named after its UID
  handled/UID.json  the images of a series whose results are done
  failed/UID/       the images of a series that could not be segmented; failed/UID.txt says why

The folders are the state: a series waits as long as its images are not those that `handled` lists. A kill at any moment
leaves it so.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from weakmask.atomic_write import atomic_file, clear_litter, fsync, writing_into
from weakmask.errors import MachineError, refuse_machine_fault

IMAGES, HANDLED, FAILED = "images", "handled", "failed"


class ReceivedImages:
    """The images below a folder, by series; threads may store images while one handles series.

    Attributes:
        received: Images that were stored since the start.
        bytes: Size of all files below the folder.
    """

    def __init__(self, out: Path, most_bytes: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the state that an earlier process left.

        Args:
            out: The folder; it is made if absent.
            most_bytes: Size of all files below it at which images are refused.
            clock: Seconds from any start.

        Raises:
            MachineError: The folder cannot be written.
        """
        self.received = 0
        self._out, self._most, self._clock = out, most_bytes, clock
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}  # series -> when it may be handled, but for the silence
        with writing_into(out):
            for name in (IMAGES, HANDLED, FAILED):
                (out / name).mkdir(parents=True, exist_ok=True)
                clear_litter(out / name)
            for place in (out / IMAGES).iterdir():
                self._take_up(place)
        self.bytes = bytes_below(out)

    def place_of(self, series: str) -> Path:
        """The folder of the images of a series."""
        return self._out / IMAGES / series

    def names_of(self, series: str) -> frozenset[str]:
        """The names of the images of a series."""
        return _entries(self.place_of(series))

    def store(self, series: str, image: str, content: bytes) -> bool:
        """Write an image, so that it survives a loss of power; one that is there, or was handled, stays as it is.

        An image of a failed series brings the series back, to be tried again.

        Args:
            series: UID of its series, checked by `is_uid`.
            image: Its own UID, likewise.
            content: The file.

        Returns:
            Whether its series begins to wait.

        Raises:
            MachineError: The folder cannot be written, or there is no room.
        """
        name, place = f"{image}.dcm", self.place_of(series)
        with self._lock, writing_into(self._out):
            again, begins = self._bring_back(series), series not in self._waiting
            if again:  # it waits for its own images also if there is no room for this one
                self._waiting[series] = self._clock()
            known = (place / name).exists() or name in _listed(self._handled(series))
            if known and not again and begins:
                return False
            if not known or again:
                self._write(place / name, content)
            self._waiting[series] = max(self._clock(), self._waiting.get(series, 0.0))
            return begins

    def quiet(self, seconds: float) -> str | None:
        """The series that waits longest among those without a new image for some time; None: there is none."""
        with self._lock:
            due = {series: since for series, since in self._waiting.items() if self._clock() - since >= seconds}
        return min(due, key=due.__getitem__, default=None)

    def postpone(self, series: str, seconds: float) -> None:
        """Let a series wait some seconds more than the silence; a new image does not shorten that."""
        with self._lock:
            self._waiting[series] = self._clock() + seconds

    def finish(self, series: str, names: frozenset[str]) -> bool:
        """Note that a series is done; not if images came meanwhile.

        Args:
            series: UID.
            names: Names of the images that its results were made from.

        Raises:
            MachineError: The folder cannot be written.
        """
        with self._lock:
            if self.names_of(series) != names:
                return False
            self._write_handled(series, names, removed=False)
            self._waiting.pop(series, None)
            return True

    def fail(self, series: str, names: frozenset[str], line: str) -> bool:
        """Put a series aside with the reason; not if images came meanwhile.

        Args:
            series: UID.
            names: As for `finish`.
            line: The reason.

        Raises:
            MachineError: The folder cannot be written.
        """
        failed = self._out / FAILED
        with self._lock, writing_into(self._out):
            if self.names_of(series) != names:
                return False
            with atomic_file(failed / f"{series}.txt") as temporary:
                temporary.write_text(f"{line}\n", encoding="utf-8")
            self.place_of(series).rename(failed / series)
            fsync(failed)
            fsync(self._out / IMAGES)
            self._waiting.pop(series, None)
            return True

    def lacking(self, series: str) -> int:
        """How many images of a series that was done are removed, while others of it came later."""
        handled = self._handled(series)
        return len(_listed(handled) - self.names_of(series)) if handled.get("removed") else 0

    def recount(self) -> None:
        """Count the bytes anew, after results were written or a person removed files."""
        before = self.bytes
        counted = bytes_below(self._out)
        with self._lock:
            self.bytes = counted + self.bytes - before  # images that came meanwhile

    def counts(self) -> dict[str, int]:
        """Numbers for a reader: images received since the start, series waiting, done and failed, and bytes."""
        with self._lock:
            waiting = len(self._waiting)
        done = len(_entries(self._out / HANDLED))
        failed = sum(name.endswith(".txt") for name in _entries(self._out / FAILED))
        return {"received": self.received, "waiting": waiting, "done": done, "failed": failed, "bytes": self.bytes}

    def _write(self, file: Path, content: bytes) -> None:
        """Write an image and count it."""
        self._need_room(len(content))
        if not file.parent.exists():
            file.parent.mkdir()
            fsync(file.parent.parent)
        with atomic_file(file) as temporary:
            temporary.write_bytes(content)
        self.bytes += len(content)
        self.received += 1

    def _take_up(self, place: Path) -> None:
        """Let a series of an earlier process wait if it is not done, and end a removal that was interrupted."""
        if place.name.startswith(".") or not place.is_dir():
            return
        clear_litter(place)
        names, handled = self.names_of(place.name), self._handled(place.name)
        if handled.get("removed") and names <= _listed(handled):
            shutil.rmtree(place)
        elif names and names != _listed(handled):
            self._waiting[place.name] = self._clock()

    def _bring_back(self, series: str) -> bool:
        """Move the images of a failed series back; returns whether there were any."""
        failed = self._out / FAILED
        if not (failed / series).is_dir():
            return False
        (self._out / HANDLED / f"{series}.json").unlink(missing_ok=True)
        (failed / series).rename(self.place_of(series))
        (failed / f"{series}.txt").unlink(missing_ok=True)
        fsync(failed)
        return True

    def _need_room(self, size: int) -> None:
        """Remove images of handled series, the oldest first, until some bytes more have room.

        Raises:
            MachineError: They have none.
        """
        if self.bytes + size <= self._most:
            return
        places = [place for place in (self._out / IMAGES).iterdir() if place.name not in self._waiting]
        handled = {place: self._out / HANDLED / f"{place.name}.json" for place in places}
        done = sorted((file.stat().st_mtime_ns, place) for place, file in handled.items() if file.exists())
        for _, place in done:
            if self.bytes + size <= self._most:
                return
            self._write_handled(place.name, self.names_of(place.name), removed=True)
            self.bytes -= bytes_below(place)
            shutil.rmtree(place)
        if self.bytes + size > self._most:
            raise MachineError(
                f"{self._out}: holds {self.bytes / 1e9:.1f} GB and may hold {self._most / 1e9:.1f} GB; move results "
                "away, or allow more by --max-gigabytes"
            )

    def _handled(self, series: str) -> dict[str, object]:
        """The record of a series that is done; empty without one that can be read."""
        file = self._out / HANDLED / f"{series}.json"
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            refuse_machine_fault(error, file)
            return {}

    def _write_handled(self, series: str, names: frozenset[str], *, removed: bool) -> None:
        with atomic_file(self._out / HANDLED / f"{series}.json") as temporary:
            temporary.write_text(json.dumps({"images": sorted(names), "removed": removed}) + "\n", encoding="utf-8")


def bytes_below(folder: Path) -> int:
    """Size of all files below a folder; files that vanish meanwhile do not count."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - there may be 100,000
    return total


def _listed(handled: dict[str, object]) -> frozenset[str]:
    images = handled.get("images")
    return frozenset(map(str, images)) if isinstance(images, list) else frozenset()


def _entries(folder: Path) -> frozenset[str]:
    """The names of the visible entries of a folder; none where it is absent."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries if not entry.name.startswith("."))
    return frozenset()
