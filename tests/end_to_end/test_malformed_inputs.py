"""What users really bring: each fault ends in one clean line and exit code 2, with nothing half-written."""

import gzip
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from weakmask.cli import main
from weakmask.methods.dram.config import DataSettings, DramSettings, NetworkSettings, PrepareSettings
from weakmask.methods.dram.model import network_arguments, save_model
from weakmask.networks import build_network
from weakmask.scoring.severity import CT_SEVERITY

Make = Callable[[Path], list[str]]
SHAPE = (12, 14, 16)


def run(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[str]]:
    """The exit code and the lines on the error stream."""
    monkeypatch.setattr(sys, "argv", ["weakmask", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), [line for line in capsys.readouterr().err.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model: every fault must be found before it matters."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    config = DramSettings(
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8)),
        network=NetworkSettings(width=1),
    )
    names = {str(k): v for k, v in enumerate(("LUL", "LLL", "RUL", "RML", "RLL"), start=1)}
    trained_on = {"region_names": names, "crop_spacing_mm": [3.0, 3.0, 3.0]}
    network = build_network("unet", network_arguments(config))
    save_model(path, network, config, threshold=0.5, score_map=CT_SEVERITY, trained_on=trained_on)
    return path


def image_file(path: Path, voxels: np.ndarray | None = None, **geometry: object) -> Path:
    image = sitk.GetImageFromArray(np.full(SHAPE, -800, np.int16) if voxels is None else voxels)
    for name, value in geometry.items():
        getattr(image, f"Set{name}")(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def bytes_at(path: Path, offset: int, values: np.ndarray) -> Path:
    """Overwrite a part of a NIfTI header."""
    content = bytearray(path.read_bytes())
    content[offset : offset + values.nbytes] = values.tobytes()
    path.write_bytes(bytes(content))
    return path


def dicom_slice(path: Path, z_mm: float, series: str, **changes: object) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.SeriesInstanceUID, data.StudyInstanceUID = "CT", series, "1.2.3"
    data.Rows, data.Columns, data.PixelSpacing, data.SliceThickness = 8, 8, [1.0, 1.0], 1.0
    data.ImagePositionPatient, data.ImageOrientationPatient = [0.0, 0.0, z_mm], [1, 0, 0, 0, 1, 0]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = np.zeros((8, 8), np.int16).tobytes()
    for name, value in changes.items():
        setattr(data, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, data)


def series(folder: Path, positions: list[float], uid: str = "1.2.3.4", **changes: object) -> Path:
    for number, z in enumerate(positions):
        dicom_slice(folder / f"{uid[-1]}{number:03}.dcm", z, uid, **changes)
    return folder


def truncated(path: Path, keep: float = 0.6) -> Path:
    noise = np.random.default_rng(0).integers(-1000, 400, SHAPE).astype(np.int16)
    image_file(path, noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def nan_scan(path: Path, value: float) -> Path:
    voxels = np.full(SHAPE, -800, np.float32)
    voxels[3, 4, 5] = value
    return image_file(path, voxels)


def four_dimensional(path: Path) -> Path:
    sitk.WriteImage(sitk.JoinSeries([sitk.Image(16, 14, 12, sitk.sitkInt16)] * 3), str(path))
    return path


def a_directory(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text("notes")
    return path


def mixed_spacing(folder: Path) -> Path:
    series(folder, [0.0, 1.0, 2.0])
    for number, z in enumerate([3.0, 4.0, 5.0]):
        dicom_slice(folder / f"x{number}.dcm", z, "1.2.3.4", PixelSpacing=[0.5, 0.5])
    return folder


def broken_dicom(folder: Path) -> Path:
    series(folder, [float(z) for z in range(6)])
    file = sorted(folder.iterdir())[2]
    file.write_bytes(file.read_bytes()[:-60])
    return folder


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
    "singular direction": (lambda t: bytes_at(image_file(t / "s.nii"), 280, np.zeros(12, np.float32)), "direction"),
    "sheared direction": (
        lambda t: bytes_at(image_file(t / "s.nii"), 280, np.array([-1, 0.6, 0, 0, 0, -1, 0, 0], np.float32)),
        "direction",
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
    "DICOM with a slice twice": (lambda t: series(t / "d", [0.0, 1.0, 1.0, 2.0]), "position"),
    "DICOM with mixed spacings": (lambda t: mixed_spacing(t / "d"), "spacing"),
    "truncated DICOM slice": (lambda t: broken_dicom(t / "d"), ".dcm"),
}


@pytest.mark.parametrize("fault", SCANS)
def test_a_faulty_scan(
    fault: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, word = SCANS[fault]
    scan = make(tmp_path)
    code, lines = run(["predict", str(model), str(scan), "-o", str(tmp_path / "out")], capsys, monkeypatch)
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error "), lines
    assert word.lower() in lines[0].lower(), lines
    assert not (tmp_path / "out").exists()


def cohort(folder: Path, scores: str | bytes | None = None, *, scans: int = 2) -> Path:
    """A small good cohort of boxes for lobes, before a fault is put in."""
    rows = ["scan,region,score"]
    for number in range(scans):
        name = f"s{number}"
        voxels = np.random.default_rng(number).normal(-850, 40, SHAPE).astype(np.int16)
        voxels[:, :, 8:] += 1
        image_file(folder / "images" / f"{name}.nii.gz", voxels)
        image_file(folder / "regions" / f"{name}.nii.gz", lobes())
        rows += [f"{name},{lobe},1" for lobe in ("LUL", "LLL", "RUL", "RML", "RLL")]
    content = "\n".join(rows) if scores is None else scores
    (folder / "scores.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def lobes() -> np.ndarray:
    """Five boxes where lobes lie: x grows to the patient's left, y to the back, z to the head."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[6:11, 2:12, 9:14], labels[1:6, 2:12, 9:14] = 1, 2
    labels[6:11, 2:12, 2:7], labels[3:6, 2:5, 2:7] = 3, 4
    labels[1:6, 5:12, 2:7] = 5
    return labels


def table(change: Callable[[list[str]], list[str]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        path = made / "scores.csv"
        path.write_text("\n".join(change(path.read_text().splitlines())))
        return made

    return make


def with_regions(change: Callable[[np.ndarray], np.ndarray], **geometry: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        image_file(made / "regions" / "s0.nii.gz", change(lobes()), **geometry)
        return made

    return make


def with_image(voxels: np.ndarray) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        image_file(made / "images" / "s0.nii.gz", voxels)
        return made

    return make


def without(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = cohort(folder)
        path = made / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return made

    return make


# what is wrong -> a cohort to check, and a word that a line must hold
COHORTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no table": (without("scores.csv"), "scores.csv"),
    "no images": (without("images"), "images"),
    "a missing image": (without("images/s0.nii.gz"), "s0"),
    "score 7": (table(lambda rows: [*rows[:-1], "s1,RLL,7"]), "7"),
    "score two": (table(lambda rows: [*rows[:-1], "s1,RLL,two"]), "two"),
    "a row twice": (table(lambda rows: [*rows, rows[-1]]), "twice"),
    "unknown columns": (table(lambda rows: ["who,where,how", *rows[1:]]), "column"),
    "an empty table": (lambda t: cohort(t, ""), "scores.csv"),
    "a binary table": (lambda t: cohort(t, b"\xff\xfe\x00PK\x03\x81\x8d"), "scores.csv"),
    "wrong region numbers": (with_regions(lambda labels: labels * 20), "s0"),
    "swapped lobes": (with_regions(lambda labels: np.ascontiguousarray(labels[:, :, ::-1])), "s0"),
    "another grid": (with_regions(lambda labels: labels, Spacing=(2.0, 2.0, 2.0)), "s0"),
    "NaN in a cohort": (with_image(np.where(lobes() == 1, np.nan, -800).astype(np.float32)), "NaN"),
    "not Hounsfield units": (with_image(np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.int16)), "HU"),
    "a broken score map": (lambda t: _file(cohort(t), "scores.yaml", "0: [0, "), "scores.yaml"),
}


def _file(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("fault", COHORTS)
def test_a_faulty_cohort(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, word = COHORTS[fault]
    code, lines = run(["check", str(make(tmp_path / "cohort"))], capsys, monkeypatch)
    assert code == 2
    assert any(word.lower() in line.lower() for line in lines), lines
    assert len(lines) <= 4, lines


def test_a_good_cohort_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, lines = run(["check", str(cohort(tmp_path / "cohort"))], capsys, monkeypatch)
    assert code == 0, lines


CONFIG = "method: dram\ndata:\n  cohort: {cohort}\n"

# what is wrong -> arguments, and a word that the line must hold
COMMANDS: dict[str, tuple[Make, str]] = {
    "config with an unknown key": (
        lambda t: [
            "train",
            str(written(t / "c.yaml", b"method: dram\ndata: {cohort: x}\nregresion: {}")),
            "-o",
            str(t / "r"),
        ],
        "did you mean regression?",
    ),
    "config of a wrong type": (
        lambda t: ["show", str(written(t / "c.yaml", b"method: dram\ndata: {cohort: x}\nseed: yes please"))],
        "seed",
    ),
    "config that is no YAML": (lambda t: ["show", str(written(t / "c.yaml", b"a: ["))], "YAML"),
    "config that is binary": (lambda t: ["show", str(written(t / "c.yaml", b"\xff\x81\x00"))], "text"),
    "config of no method": (lambda t: ["show", str(written(t / "c.yaml", b"method: magic"))], "magic"),
    "config that is absent": (lambda t: ["show", str(t / "c.yaml")], "no such config"),
    "a setting without a value": (
        lambda t: ["show", str(written(t / "c.yaml", b"method: dram\ndata: {cohort: x}")), "--set", "seed"],
        "KEY=VALUE",
    ),
    "a model that is text": (
        lambda t: [
            "predict",
            str(written(t / "m.safetensors", b"hello")),
            str(image_file(t / "s.nii")),
            "-o",
            str(t / "o"),
        ],
        "m.safetensors",
    ),
    "a model that is absent": (
        lambda t: ["predict", str(t / "m.safetensors"), str(image_file(t / "s.nii")), "-o", str(t / "o")],
        "no such model",
    ),
    "a run that is not finished": (
        lambda t: [
            "predict",
            str(a_directory(t / "run", "config.yaml")),
            str(image_file(t / "s.nii")),
            "-o",
            str(t / "o"),
        ],
        "complete",
    ),
    "a report of no run": (lambda t: ["report", str(a_directory(t / "run"))], "manifest.json"),
    "phantoms over somebody's folder": (
        lambda t: ["phantom", str(a_directory(t / "thesis", "chapter1.tex")), "--scans", "1"],
        "thesis",
    ),
    "phantoms where nothing can be written": (
        lambda t: ["phantom", str(written(t / "file", b"") / "cohort"), "--scans", "1", "--size", "16", "16", "16"],
        "cannot write",
    ),
    "masks of other scans": (
        lambda t: ["evaluate", str(a_directory(t / "masks")), str(cohort(t / "cohort")), "-o", str(t / "o")],
        "s0",
    ),
}


@pytest.mark.parametrize("fault", COMMANDS)
def test_a_faulty_command(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, word = COMMANDS[fault]
    arguments = make(tmp_path)
    before = set(tmp_path.rglob("*"))
    code, lines = run(arguments, capsys, monkeypatch)
    assert code == 2
    errors = [line for line in lines if line.startswith("error ")]
    assert len(errors) == 1, lines
    assert word.lower() in errors[0].lower(), lines
    assert set(tmp_path.rglob("*")) == before, "nothing half-written"


def test_a_bad_scan_never_stops_the_good_ones(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
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
    code, lines = run(arguments, capsys, monkeypatch)
    assert code == 2
    assert sum("bad.nii.gz" in line for line in lines) == 1, lines
    assert (tmp_path / "o" / "s0" / "mask.nii.gz").exists()
    assert (tmp_path / "o" / "s1" / "mask.nii.gz").exists()
    assert "bad.nii.gz" in (tmp_path / "o" / "report.html").read_text()
