"""Files with a fault in them, for the tests of this folder."""

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from weakmask.volume.volume import Volume

SHAPE = (12, 14, 16)


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


def scan_series(folder: Path, scan: Volume, uid: str = "1.2.3.9", **more: object) -> Path:
    """A scan of axial slices as a DICOM series."""
    _, rows, columns = scan.voxels.shape
    z_mm, *in_plane = scan.geometry.spacing_mm
    oz, oy, ox = scan.geometry.origin_mm
    for number, pixels in enumerate(scan.voxels.astype(np.int16)):
        height = oz + number * z_mm
        changes = {
            "Rows": rows,
            "Columns": columns,
            "PixelSpacing": list(in_plane),
            "SliceThickness": z_mm,
            "ImagePositionPatient": [ox, oy, height],
            "RescaleIntercept": 0,
            "PixelData": pixels.tobytes(),
            **more,
        }
        dicom_slice(folder / f"{uid[-1]}{number:03}.dcm", height, uid, **changes)
    return folder


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
