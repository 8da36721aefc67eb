"""Grids and DICOM series that the tests of this room share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from weakmask.volume.geometry import Direction, Geometry

DIRECTIONS = ("identity", "flipped", "permuted", "oblique", "oblique and flipped")


def direction(name: str) -> Direction:
    """One of DIRECTIONS as a matrix."""
    turn = Rotation.from_euler("zyx", [25, -10, 40], degrees=True).as_matrix()
    matrix = {
        "identity": np.eye(3),
        "flipped": np.diag([-1.0, 1.0, -1.0]),
        "permuted": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        "oblique": turn,
        "oblique and flipped": turn * [1, -1, 1],
    }[name]
    return tuple(tuple(map(float, row)) for row in matrix)


@pytest.fixture(params=DIRECTIONS)
def geometry(request: pytest.FixtureRequest) -> Geometry:
    """A small anisotropic grid in every kind of direction."""
    return Geometry((4, 5, 6), (2.5, 0.7, 0.8), (-20.25, 11.5, 301.125), direction(request.param))


@pytest.fixture
def write_slice() -> Callable[..., pydicom.Dataset]:
    """Writes one DICOM image; keywords are DICOM's own names and replace what is there, None takes it away."""

    def write(path: Path, pixels: np.ndarray, series: str, **fields: object) -> pydicom.Dataset:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        image = pydicom.Dataset()
        image.file_meta = meta
        image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID = generate_uid()
        image.SeriesInstanceUID = image.StudyInstanceUID = series
        image.Modality = "CT"
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.Rows, image.Columns = pixels.shape
        image.PixelSpacing = [0.5, 0.75]
        image.ImagePositionPatient = [0, 0, 0]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.SliceThickness = 2
        image.SamplesPerPixel = 1
        image.PhotometricInterpretation = "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit = 15
        image.PixelRepresentation = int(pixels.dtype.kind == "i")
        image.RescaleSlope, image.RescaleIntercept = 1, -1024
        image.PixelData = pixels.tobytes()
        for name, value in fields.items():
            if value is None:
                delattr(image, name)
            else:
                setattr(image, name, value)
        meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save_as(path, enforce_file_format=True)
        return image

    return write


@pytest.fixture
def write_series(write_slice: Callable[..., pydicom.Dataset]) -> Callable[..., str]:
    """Writes slices at these heights (mm) in shuffled file order; returns the series' UID."""

    def write(folder: Path, heights: Sequence[float], stored: np.ndarray | None = None, **fields: object) -> str:
        series = str(fields.pop("uid", generate_uid()))
        if stored is None:
            stored = np.arange(len(heights) * 30, dtype=np.int16).reshape(len(heights), 5, 6)
        for number in np.random.default_rng(0).permutation(len(heights)):
            here = {"ImagePositionPatient": [-10, 20, heights[number]], "InstanceNumber": int(number) + 1, **fields}
            here = {name: value(number) if callable(value) else value for name, value in here.items()}
            write_slice(folder / f"{generate_uid()[-20:]}.dcm", stored[number], series, **here)
        return series

    return write
