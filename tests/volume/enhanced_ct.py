"""Writes Enhanced CT: the slices of a scan as frames of one file, in a shuffled order."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom import Sequence as Items
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, EnhancedCTImageStorage, ExplicitVRLittleEndian, RLELossless

from weakmask.volume.volume import Volume

IDS = {
    "PatientID": "P7", "PatientName": "Doe^Jane", "PatientBirthDate": "19600101", "PatientSex": "F", "StudyID": "1",
    "StudyDate": "20240102", "StudyTime": "101112", "AccessionNumber": "A1", "ReferringPhysicianName": "",
    "SeriesNumber": 4, "SeriesDescription": "lung", "InstanceNumber": 1, "Modality": "CT",
}  # fmt: skip


def write_enhanced(
    path: Path,
    scan: Volume,
    uid: str = "1.2.5",
    parts: Mapping[str, Sequence[object]] | None = None,
    *,
    packed: bool = False,
    change: Callable[[Dataset], None] | None = None,
    **fields: object,
) -> Path:
    """Write a file with a frame for each slice, each with an intercept of its own.

    Args:
        path: The file.
        scan: Voxels in HU, which fit into 15 bits.
        uid: Of the series; that of the image is below it.
        parts: Name of an attribute of the frame content (StackID, TemporalPositionIndex) -> its value for each
            repetition of the scan in the file; the n-th has values that are higher by n. None: the scan once.
        packed: Pack the pixels (RLE).
        change: Changes the dataset before it is written.
        **fields: Other attributes of the file.
    """
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.1")
    image.SeriesInstanceUID, image.StudyInstanceUID, image.FrameOfReferenceUID = uid, "1.2.3", "1.2.4"
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    for name, value in {**IDS, **fields}.items():
        setattr(image, name, value)
    repeats = len(next(iter(parts.values()))) if parts else 1
    order = np.random.default_rng(0).permutation(repeats * len(scan.voxels))
    frames, stored = [], []
    for place in order:
        repeat, number = divmod(int(place), len(scan.voxels))
        content = {name: values[repeat] for name, values in (parts or {}).items()}
        frames.append(_frame(scan, number, intercept=-1024 - number, **content))
        stored.append(scan.voxels[number].astype(np.int16) + 1024 + number + repeat)
    image.SharedFunctionalGroupsSequence = Items([_shared(scan)])
    image.PerFrameFunctionalGroupsSequence = Items(frames)
    image.NumberOfFrames, image.Rows, image.Columns = len(frames), *scan.voxels.shape[1:]
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.PixelData = np.stack(stored).tobytes()
    image["PixelData"].VR = "OW"
    if change is not None:
        change(image)
    if packed:
        image.compress(RLELossless, generate_instance_uid=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, image, enforce_file_format=True)
    return path


def _shared(scan: Volume) -> Dataset:
    z_mm, y_mm, x_mm = scan.geometry.spacing_mm
    direction = scan.geometry.direction_xyz
    orientation = [float(v) for v in (*direction[:, 0], *direction[:, 1])]
    return groups(
        PlaneOrientationSequence={"ImageOrientationPatient": [round(v, 9) for v in orientation]},
        PixelMeasuresSequence={"PixelSpacing": [y_mm, x_mm], "SliceThickness": z_mm},
        CTImageFrameTypeSequence={"FrameType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]},
    )


def _frame(scan: Volume, number: int, intercept: int, **content: object) -> Dataset:
    corner = (scan.geometry.affine @ np.array([number, 0, 0, 1.0]))[2::-1]
    return groups(
        PlanePositionSequence={"ImagePositionPatient": [round(float(v), 6) for v in corner]},
        PixelValueTransformationSequence={"RescaleSlope": 1, "RescaleIntercept": intercept, "RescaleType": "HU"},
        FrameContentSequence={"FrameAcquisitionNumber": 1, **content},
    )


def groups(**sequences: dict[str, object]) -> Dataset:
    """Functional groups: name of a sequence -> the attributes of its item."""
    found = Dataset()
    for name, fields in sequences.items():
        item = Dataset()
        for attribute, value in fields.items():
            setattr(item, attribute, value)
        setattr(found, name, Items([item]))
    return found
