"""Scans as users really bring them: each fault ends in one clean line and exit code 2, with nothing half-written."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from malformed_files import (
    a_directory,
    broken_dicom,
    bytes_at,
    cohort,
    four_dimensional,
    image_file,
    mixed_spacing,
    nan_scan,
    series,
    truncated,
    written,
)

Run = Callable[..., tuple[int, list[str]]]

# each entry: what is wrong -> a scan to predict, and a word that the line must hold
SCANS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated gzip NIfTI": (lambda t: truncated(t / "s.nii.gz"), "s.nii.gz"),
    "truncated NIfTI": (lambda t: truncated(t / "s.nii"), "s.nii"),
    "truncated MetaImage": (lambda t: truncated(t / "s.mha"), "s.mha"),
    "truncated NRRD": (lambda t: truncated(t / "s.nrrd"), "s.nrrd"),
    "empty file": (lambda t: written(t / "s.nii.gz", b""), "empty"),
    "gzip of garbage": (lambda t: written(t / "s.nii.gz", gzip.compress(b"not a scan" * 99)), "s.nii.gz"),
    "text named .nii.gz": (lambda t: written(t / "s.nii.gz", b"patient 7: see the report"), "s.nii.gz"),
    "picture that is none": (lambda t: written(t / "s.png", b"\x89PNG\r\n\x1a\n broken"), "s.png"),
    "NaN voxels": (lambda t: nan_scan(t / "s.nii.gz", float("nan")), "NaN"),
    "infinite voxels": (lambda t: nan_scan(t / "s.nii.gz", float("inf")), "infinite"),
    "zero spacing": (lambda t: bytes_at(image_file(t / "s.nii"), 80, np.zeros(1, np.float32)), "spacing"),
    "NaN spacing": (lambda t: bytes_at(image_file(t / "s.nii"), 84, np.full(1, np.nan, np.float32)), "spacing"),
    "singular direction": (lambda t: bytes_at(image_file(t / "s.nii"), 280, np.zeros(12, np.float32)), "axes"),
    "sheared direction": (
        lambda t: bytes_at(image_file(t / "s.nii"), 280, np.array([-1, 0.6, 0, 0, 0, -1, 0, 0], np.float32)),
        "sheared",
    ),
    "4-D image": (lambda t: four_dimensional(t / "s.nii.gz"), "4"),
    "unknown format": (lambda t: written(t / "s.docx", b"PK"), "docx"),
    "missing scan": (lambda t: t / "absent.nii.gz", "no such"),
    "folder without scans": (lambda t: a_directory(t / "empty", "readme.txt"), "no scan"),
    "water, no lungs": (lambda t: image_file(t / "s.nii.gz", np.zeros((40, 40, 40), np.int16)), "lung"),
    "DICOM with a missing slice": (lambda t: series(t / "d", [0.0, 1.0, 2.0, 4.0, 5.0, 6.0]), "slice"),
    "DICOM with two series": (
        lambda t: series(series(t / "d", [0.0, 1.0, 2.0]), [0.0, 1.0, 2.0], "1.2.3.5"),
        "1.2.3.5",
    ),
    "DICOM with a slice twice": (lambda t: series(t / "d", [0.0, 1.0, 1.0, 2.0]), "two slices"),
    "DICOM with mixed spacings": (lambda t: mixed_spacing(t / "d"), "spacing"),
    "truncated DICOM slice": (lambda t: broken_dicom(t / "d"), ".dcm"),
}


@pytest.mark.parametrize("fault", SCANS)
def test_a_faulty_scan(fault: str, model: Path, tmp_path: Path, weakmask: Run) -> None:
    make, word = SCANS[fault]
    scan = make(tmp_path)
    code, lines = weakmask("predict", str(model), str(scan), "-o", str(tmp_path / "out"))
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error "), lines
    assert word.lower() in lines[0].lower(), lines
    assert not (tmp_path / "out").exists()


def test_a_bad_scan_never_stops_the_good_ones(model: Path, tmp_path: Path, weakmask: Run) -> None:
    made = cohort(tmp_path / "c")
    truncated(made / "images" / "bad.nii.gz")
    arguments = [
        "predict",
        str(model),
        str(made / "images"),
        "--regions",
        str(made / "regions"),
        "-o",
        str(tmp_path / "o"),
    ]
    code, lines = weakmask(*arguments)
    assert code == 2
    assert sum("bad.nii.gz" in line for line in lines) == 1, lines
    assert (tmp_path / "o" / "s0" / "mask.nii.gz").exists()
    assert (tmp_path / "o" / "s1" / "mask.nii.gz").exists()
    assert "bad.nii.gz" in (tmp_path / "o" / "report.html").read_text()
