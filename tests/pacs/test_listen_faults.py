"""A disk at fault under `weakmask listen`: images are complete or refused, no series is lost, the listener goes on."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from write_faults import Faults, Kind, write_faults

import weakmask as wm
from weakmask.commands import listen as listen_command
from weakmask.commands.listen import Wishes, listen
from weakmask.errors import MachineError
from weakmask.pacs.dicom_listener import Node
from weakmask.pacs.received_images import ReceivedImages
from weakmask.regions.scan_regions import RegionSource
from weakmask.volume.volume import Volume

SERIES = "1.2.70.1"
KINDS: tuple[Kind, ...] = ("ENOSPC", "EIO")


@pytest.fixture
def slices(phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path) -> dict[str, bytes]:
    """The images of a series, by their UIDs."""
    files = sorted(write_scan(tmp_path / "ct", phantom, SERIES, StudyInstanceUID="1.2.70").iterdir())
    return {f"{SERIES}.{number}": file.read_bytes() for number, file in enumerate(files, start=1)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_complete_or_refused_wherever_the_disk_fails(
    kind: Kind, slices: dict[str, bytes], tmp_path: Path
) -> None:
    name, content = next(iter(slices.items()))

    def stored(folder: Path, position: int = 0) -> Faults:
        """Store an image while the disk fails."""
        with write_faults(folder, position, kind if position else "none") as faults:
            ReceivedImages(folder, 1e9).store(SERIES, name, content)
        return faults

    writes = len(stored(tmp_path / "unbroken").done)
    assert writes > 5
    refused = 0
    for position in range(1, writes + 1):
        folder = tmp_path / str(position)
        try:
            stored(folder, position)
        except (MachineError, OSError):
            refused += 1
        else:
            assert (folder / "images" / SERIES / f"{name}.dcm").read_bytes() == content
        found = [file.read_bytes() for file in folder.rglob("*.dcm")]
        assert found in ([], [content]), position
        stored(folder)  # the peer sends it again
        assert [file.read_bytes() for file in folder.rglob("*.dcm")] == [content], position
        assert ReceivedImages(folder, 1e9).names_of(SERIES) == {f"{name}.dcm"}
    assert refused > 3


def listened(model: wm.Model, out: Path, position: int = 0, kind: Kind = "none") -> tuple[list[str], list[str]]:
    """Let the listener work until the series is done, while the disk fails; its events, and its writes."""
    events: list[str] = []
    end, first = threading.Event(), 0

    def report(event: Mapping[str, Any]) -> None:
        """Let the disk fail from the start on, and mend it once the series was interrupted."""
        nonlocal first
        events.append(event["event"])
        if event["event"] == "listening":
            first = len(faults.done)
            faults.position, faults.kind = first + position, kind
        if event["event"] == "interrupted":
            faults.kind = "none"
        if event["event"] in {"done", "failed"}:
            end.set()

    with write_faults(out) as faults:
        node = Node("WEAKMASK", ("PACS",), port=0)
        listen(model, out, node, Wishes(quiet_s=0.0), RegionSource(None), report, end)
        return events, faults.done[first:]


@pytest.mark.parametrize("everywhere", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_series_is_done_once_the_disk_is_mended(
    everywhere: bool, model: Path, slices: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen_command, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(listen_command, "LOOK_EVERY_S", 0.05)
    loaded = wm.load(model, "cpu")

    def received(name: str) -> Path:
        """A folder in which the series waits."""
        images = ReceivedImages(tmp_path / name, 1e9)
        for image, content in slices.items():
            images.store(SERIES, image, content)
        return tmp_path / name

    unbroken = received("unbroken")
    events, writes = listened(loaded, unbroken)
    assert events == ["listening", "segmenting", "done", "stopped"]
    wanted = json.loads((unbroken / SERIES / "scan.json").read_bytes())
    noting = next(place for place, write in enumerate(writes, start=1) if "/handled/" in write)  # that it is done
    positions = range(1, len(writes) + 1, max(1, len(writes) // 24)) if everywhere else (len(writes) // 3, noting)
    interrupted = 0
    for number, position in enumerate(positions):
        out = received(str(number))
        events, _ = listened(loaded, out, position, KINDS[number % 2])
        interrupted += events.count("interrupted")
        assert events[-2:] == ["done", "stopped"], events
        found = json.loads((out / SERIES / "scan.json").read_bytes())
        assert found["rows"] == wanted["rows"]
        masks = {name for name in wanted["files"] if name.endswith(".nii.gz")}
        assert {name: found["files"][name] for name in masks} == {name: wanted["files"][name] for name in masks}
        assert found["files"].keys() == wanted["files"].keys()
        assert (out / "handled" / f"{SERIES}.json").is_file()
        assert not [file for file in out.rglob(".*") if file.name != ".lock"]
    assert interrupted >= len(positions) / 2
