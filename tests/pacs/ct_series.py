"""Scans written as DICOM series of CT slices."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from weakmask.volume.volume import Volume

IDS = {
    "PatientID": "P7",
    "PatientName": "Doe^Jane",
    "PatientBirthDate": "19600101",
    "PatientSex": "F",
    "StudyID": "1",
    "StudyDate": "20240102",
    "StudyTime": "101112",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "",
    "SeriesNumber": 4,
    "SeriesDescription": "lung",
}


def write_ct_series(folder: Path, scan: Volume, uid: str = "1.2.3.9", decimals: int = 6, **changes: object) -> Path:
    """Write a scan of any geometry as a series of CT slices; returns its folder."""
    folder.mkdir(parents=True)
    geometry = scan.geometry
    direction = geometry.direction_xyz
    z_mm, y_mm, x_mm = geometry.spacing_mm
    for number, pixels in enumerate(scan.voxels.astype(np.int16)):
        corner = (geometry.affine @ np.array([number, 0, 0, 1.0]))[2::-1]
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = f"{uid}.{number + 1}"
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.Modality, data.SeriesInstanceUID, data.StudyInstanceUID = "CT", uid, "1.2.3"
        data.FrameOfReferenceUID, data.InstanceNumber = "1.2.4", number + 1
        data.Rows, data.Columns = pixels.shape
        data.PixelSpacing, data.SliceThickness = [round(y_mm, decimals), round(x_mm, decimals)], z_mm
        data.ImageOrientationPatient = [round(float(v), decimals) for v in (*direction[:, 0], *direction[:, 1])]
        data.ImagePositionPatient = [round(float(v), decimals) for v in corner]
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.RescaleSlope, data.RescaleIntercept, data.PixelData = 1, 0, pixels.tobytes()
        for name, value in {**IDS, **changes}.items():
            setattr(data, name, value)
        pydicom.dcmwrite(folder / f"{number:03}.dcm", data)
    return folder
