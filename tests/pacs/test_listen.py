"""`weakmask listen`: images in, results out, and nothing lost or done twice wherever it is killed."""

import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from listener_process import listener_process, send
from own_orthanc import Orthanc, free_port

import weakmask as wm
from weakmask.commands.result_sending import target_of
from weakmask.inference.scan_record import read_record
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume

BROKEN = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # connections
Run = Callable[..., tuple[int, list[str]]]
QUICK = ("--quiet-after", 0.5)


@pytest.fixture
def studies(phantom: Volume, write_scan: Callable[..., Path], tmp_path: Path) -> Callable[[int], list[Path]]:
    """Writes studies of one series, each with its own grey values."""

    def write(number: int) -> list[Path]:
        scans = [(f"1.2.{70 + one}", phantom.with_voxels(phantom.voxels + np.int16(one))) for one in range(number)]
        return [write_scan(tmp_path / "ct" / f"{uid}.1", scan, f"{uid}.1", StudyInstanceUID=uid) for uid, scan in scans]

    return write


def images_of(study: Path) -> list[Path]:
    return sorted(study.iterdir())


def result_equals_that_of_a_model(out: Path, study: Path, model: Path) -> None:
    """Mask and values of a listener are those that the model gives for the files."""
    wanted = wm.load(model, "cpu").segment(study)
    found = json.loads((out / study.name / "scan.json").read_bytes())
    assert found["rows"] == json.loads(json.dumps(wanted.rows, default=float))
    assert found["origin"]["model"] == wanted.origin.model
    mask = read_volume(out / study.name / "mask.nii.gz", "label")
    assert np.array_equal(mask.voxels, wanted.mask.voxels)
    assert {"dicom/lesions.dcm", "dicom/regions.dcm", "dicom/scores.dcm", "dicom/picture.dcm"} <= set(found["files"])


@BROKEN
def test_kills_lose_nothing_and_nothing_is_done_twice(
    model: Path, studies: Callable[[int], list[Path]], tmp_path: Path, weakmask: Run
) -> None:
    (first,) = studies(1)
    out = tmp_path / "out"
    with listener_process(model, out, free_port(), *QUICK) as listener:
        files = images_of(first)
        place = out / "images" / first.name
        killer = threading.Thread(
            target=lambda: (listener.wait_for(lambda: len(list(place.glob("1*"))) > 9), listener.kill())
        )
        killer.start()
        taken = send(listener.port, files * 20)
        killer.join()
        kept = {file.name for file in (out / "images").rglob("*.dcm")}
        assert len(kept) >= len(set(taken)) > 0  # each acknowledged image is on the disk
        listener.start()
        assert len(send(listener.port, files)) == len(files)
        listener.wait_for(lambda: listener.events("segmenting"))
        listener.kill()
        listener.start()
        listener.wait_for(lambda: listener.events("done"))
        code, (line,) = weakmask("listen", model, "--out", out, "--peers", "PACS", "--port", 0)
        assert (code, "in use by another process" in line) == (2, True)
        written = {path: path.stat().st_mtime_ns for path in out.rglob("scan.json")}
        send(listener.port, files)  # once more, and after a restart
        listener.kill()
        listener.start()
        time.sleep(1.5)
        assert listener.end() == 143
        assert written == {path: path.stat().st_mtime_ns for path in out.rglob("scan.json")}
        assert [event["series"] for event in listener.events("done")] == [first.name]
        state = json.loads((out / "status.json").read_text(encoding="utf-8"))
        assert (state["event"], state["waiting"], state["done"], state["failed"]) == ("stopped", 0, 1, 0)
        assert [line for line in listener.lines() if line[0] != "{"] == ["stopped; the same command goes on from here"]
    result_equals_that_of_a_model(out, first, model)
    assert weakmask("report", out) == (0, [])
    assert (out / "scores.csv").read_text(encoding="utf-8").count(first.name) == 5


def test_orthanc_sends_studies_and_gets_the_results(
    orthanc: Orthanc, model: Path, studies: Callable[[int], list[Path]], tmp_path: Path
) -> None:
    first, broken, scout = studies(3)
    images_of(broken)[8].unlink()
    for image in images_of(scout)[1:]:
        image.unlink()
    (view,) = images_of(scout)
    header = pydicom.dcmread(view)
    header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    header.save_as(view)
    orthanc.add(first, broken, scout)
    out, port = tmp_path / "out", free_port()
    orthanc.ask("modalities/weakmask", ["WEAKMASK", "127.0.0.1", port], "PUT")
    with listener_process(model, out, port, *QUICK, "--store", orthanc.dicomweb) as listener:
        for series in orthanc.ask("series"):
            orthanc.ask("modalities/weakmask/store", series.encode(), "POST")
        listener.wait_for(lambda: all(listener.events(kind) for kind in ("done", "failed", "ignored")))
        assert listener.end() == 143
        (failed,) = listener.events("failed")
    assert failed["series"] == broken.name
    assert (out / "failed" / f"{broken.name}.txt").read_text(encoding="utf-8").strip() == failed["error"]
    assert len(images_of(out / "failed" / broken.name)) == 15
    assert orthanc.kinds() == {"CT": 32, "SEG": 2, "SR": 1, "OT": 1}
    orthanc.clear()
    target, result = target_of(None, f"ORTHANC@127.0.0.1:{orthanc.dicom_port}"), out / first.name
    record = read_record(result)
    assert target is not None
    assert record is not None
    assert target.send_result(result, record)
    assert orthanc.kinds() == {"SEG": 2, "SR": 1, "OT": 1}
    assert not target.send_result(result, record)  # nothing is missing


@BROKEN
@pytest.mark.slow
def test_twenty_studies_with_kills_at_random_moments(
    orthanc: Orthanc, model: Path, studies: Callable[[int], list[Path]], tmp_path: Path
) -> None:
    all_studies, out, rng = studies(20), tmp_path / "out", random.Random(0)
    acknowledged: set[tuple[str, str]] = set()
    kills = 0
    with listener_process(model, out, free_port(), *QUICK, "--store", orthanc.dicomweb) as listener:
        for study in all_studies:
            missing = images_of(study)
            while missing:
                killer = threading.Timer(rng.uniform(0.2, 8.0), listener.kill)
                killer.start()
                taken = send(listener.port, missing)
                acknowledged |= {(study.name, image.name) for image in taken}
                missing = [image for image in missing if image not in taken]
                if rng.random() < 0.5:
                    killer.cancel()
                killer.join()
                if not listener.process.is_alive():
                    kills += 1
                    kept = list((out / "images").rglob("1*.dcm"))
                    assert len(kept) >= len(acknowledged)
                    listener.start()
        listener.wait_for(lambda: len(list((out / "handled").glob("*.json"))) == 20, seconds=600)
        assert listener.end() == 143
    assert kills > 5
    assert not list((out / "failed").iterdir())
    for study in all_studies:
        images = json.loads((out / "handled" / f"{study.name}.json").read_text(encoding="utf-8"))["images"]
        assert len(images) == len(images_of(study))
        assert json.loads((out / study.name / "scan.json").read_bytes())["ids"]["series_uid"] == study.name
    assert orthanc.kinds() == {"SEG": 40, "SR": 20, "OT": 20}
    assert len(listener.events("done")) <= 20
