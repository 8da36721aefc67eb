"""The DICOM objects of a result that lies in its folder, written beside its masks and noted in its record."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from weakmask.errors import UserError
from weakmask.inference.result_files import PREVIEW, add_files, refuse_changed
from weakmask.inference.scan_record import ScanRecord
from weakmask.pacs.result_objects import FOLDER, ResultForPacs, result_objects
from weakmask.pacs.segmentation_object import ObjectIdentity
from weakmask.pacs.source_series import SourceSeries
from weakmask.volume.dicom_file import read_dataset
from weakmask.volume.dicom_header import SEGMENTATIONS
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume


def has_dicom(folder: Path, record: ScanRecord, *, labelmap: bool) -> bool:
    """Whether a result has its DICOM objects, in the form that is asked for."""
    files = [folder / name for name in record.files if name.startswith(f"{FOLDER}/")]
    if not files or not all(file.exists() for file in files):
        return False
    masks = [file for file in files if file.name in {"lesions.dcm", "regions.dcm"}]
    kinds = {str(read_dataset(file, only=["SOPClassUID"]).SOPClassUID) for file in masks}
    return kinds <= {SEGMENTATIONS[1] if labelmap else SEGMENTATIONS[0]}


def add_dicom(
    folder: Path, record: ScanRecord, source: SourceSeries, method: str, *, labelmap: bool = False
) -> ScanRecord:
    """Write the DICOM objects of a result into its folder, and note them in its record.

    Args:
        folder: The folder of the result.
        record: Its record.
        source: The images that it was made from.
        method: Name of the method.
        labelmap: Write masks in the small form that older viewers do not know.

    Raises:
        UserError: The mask lies on another grid, or a user changed an object.
        MachineError: The folder cannot be written.
    """
    if "mask.nii.gz" not in record.files:
        raise UserError(f"{folder}: holds no mask.nii.gz; DICOM objects are made of masks of scans")
    refuse_changed(folder, record, [])
    mask = read_volume(folder / "mask.nii.gz", "label")
    regions = folder / "regions.nii.gz"
    preview = folder / PREVIEW
    result = ResultForPacs(
        mask=mask,
        finding_names=finding_names(mask),
        regions=read_volume(regions, "label") if regions.name in record.files else None,
        region_names=record.region_names,
        statistics=record.statistics,
        picture=np.asarray(Image.open(preview).convert("RGB")) if PREVIEW in record.files else None,
    )
    digest = hashlib.sha256(json.dumps([record.origin.content, labelmap], sort_keys=True).encode()).hexdigest()
    made = result_objects(result, source, identity_of(digest, method, record.written), labelmap=labelmap)
    old = [name for name in record.files if name.startswith(f"{FOLDER}/")]
    return add_files(folder, record, {f"{FOLDER}/{name}": content for name, content in made.items()}, old)


def finding_names(mask: Volume) -> dict[int, str]:
    """Label -> name of the findings of a mask."""
    labels = [int(label) for label in np.unique(mask.voxels) if label > 0]
    return {label: "lesion" if len(labels) == 1 else f"lesion {label}" for label in labels}


def identity_of(digest: str, method: str, written: str) -> ObjectIdentity:
    """The identity of the objects of a result.

    Args:
        digest: Of everything that the result was made from.
        method: Name of the method.
        written: When, as `2026-11-28T09:08:22+0000`.
    """
    digits = "".join(character for character in written[:19] if character.isdigit())
    return ObjectIdentity(digest, method, digits[:8], digits[8:14])
