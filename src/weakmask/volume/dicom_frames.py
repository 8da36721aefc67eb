"""The frames of an enhanced multi-frame DICOM image: what its functional groups state about each of them.

Enhanced CT, MR and PET, and what is converted to them from single slices (Legacy Converted Enhanced), hold many frames
in one file. A group of attributes stands once for all frames, or once per frame (PS3.3, C.7.6.16).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, CTImageStorage
from pydicom.valuerep import DSfloat

from weakmask.errors import UserError
from weakmask.volume.dicom_file import read_dataset

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_AGAIN = "export the scan again, one file per slice, or convert it to NIfTI"
# functional group -> its attributes, and the attributes of single slices that mean the same
_GROUPS: Mapping[str, Mapping[str, str]] = {
    "PlanePositionSequence": {"ImagePositionPatient": "ImagePositionPatient"},
    "PlaneOrientationSequence": {"ImageOrientationPatient": "ImageOrientationPatient"},
    "PixelMeasuresSequence": {"PixelSpacing": "PixelSpacing", "SliceThickness": "SliceThickness"},
    "PixelValueTransformationSequence": {"RescaleSlope": "RescaleSlope", "RescaleIntercept": "RescaleIntercept"},
    "CTReconstructionSequence": {"ConvolutionKernel": "ConvolutionKernel"},
    "CTImageFrameTypeSequence": {"FrameType": "FrameType"},
    "MRImageFrameTypeSequence": {"FrameType": "FrameType"},
    "FrameContentSequence": {
        "FrameAcquisitionNumber": "AcquisitionNumber",
        "StackID": "StackID",
        "TemporalPositionIndex": "TemporalPositionIndex",
    },
    "TemporalPositionSequence": {"TemporalPositionTimeOffset": "TemporalPositionTimeOffset"},
    "CardiacSynchronizationSequence": {"NominalPercentageOfCardiacPhase": "NominalPercentageOfCardiacPhase"},
}
_OWN = {name for group in _GROUPS.values() for name in group.values()}  # never of the file as a whole


_PIXELS = (
    "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation",
)  # fmt: skip
_STORED = ("PixelData", "NumberOfFrames", "ExtendedOffsetTable", "ExtendedOffsetTableLengths")


@dataclass(frozen=True)
class Frame:
    """Place of a frame in its file.

    Attributes:
        index: From 0.
        total: Number of frames in the file.
        slope: Factor of the stored values.
        intercept: Is added to them.
    """

    index: int
    total: int
    slope: float = 1.0
    intercept: float = 0.0


def is_enhanced(header: pydicom.Dataset) -> bool:
    """Whether an image has functional groups, also if it has a single frame."""
    return _SHARED in header or _PER_FRAME in header


def frame_headers(header: pydicom.Dataset, path: Path) -> Iterator[tuple[pydicom.Dataset, Frame]]:
    """The header of each frame, as that of a single slice, in the order of the file.

    Args:
        header: Of an enhanced image.
        path: For messages.

    Raises:
        UserError: The groups are not those of all frames, or contradict each other.
    """
    total = int(header.get("NumberOfFrames", None) or 1)
    groups = list(header.get(_PER_FRAME) or [])
    if not groups and total > 1:
        raise UserError(f"{path}: {total} frames in one file, without functional groups of each; {_AGAIN}")
    if groups and len(groups) != total:
        raise UserError(
            f"{path}: its header promises {total} frames and describes {len(groups)} (functional groups); {_AGAIN}"
        )
    shared = next(iter(header.get(_SHARED) or [pydicom.Dataset()]))
    common, offset = _common(header), int(header.get("ConcatenationFrameOffsetNumber", None) or 0)
    stated = _stated(shared)
    for index, group in enumerate(groups or [pydicom.Dataset()]):
        own = _stated(group)
        twice = sorted(name for name in own.keys() & stated.keys() if name in _OWN and own[name] != stated[name])
        if twice:
            raise UserError(
                f"{path}: its header states {twice[0]} for all frames and another one for frame {index + 1}; {_AGAIN}"
            )
        one = pydicom.Dataset()
        one.update(common)
        for name, value in {**stated, **own, "InstanceNumber": offset + index + 1}.items():
            setattr(one, name, value)
        slope = float(1 if one.get("RescaleSlope") is None else one.RescaleSlope)
        yield one, Frame(index, total, slope, float(one.get("RescaleIntercept") or 0))


def _common(header: pydicom.Dataset) -> pydicom.Dataset:
    """The header without functional groups, and without what only they may state."""
    common = pydicom.Dataset()
    for element in header:
        if element.VR != "SQ" and element.keyword not in _OWN:
            common.add(element)
    common.file_meta = getattr(header, "file_meta", FileMetaDataset())
    return common


def _stated(group: pydicom.Dataset) -> dict[str, object]:
    """Name of an attribute of single slices -> its value in a set of functional groups; empty values are left out."""
    found: dict[str, object] = {}
    for sequence, names in _GROUPS.items():
        items = list(group.get(sequence) or [])
        for name, meaning in names.items() if items else ():
            value = items[0].get(name, None)
            if value is not None and value != "":
                found[meaning] = value
    return found


def single_frames(path: Path, frames: Collection[Frame]) -> Iterator[tuple[Frame, pydicom.Dataset]]:
    """Each frame as the image of a single slice, with its own slope and intercept, in the order of the file.

    Args:
        path: A file of enhanced DICOM.
        frames: The frames to give.

    Raises:
        UserError: The file does not hold their pixels.
    """
    wanted = {frame.index: frame for frame in frames}
    given = 0
    try:
        whole = read_dataset(path, only=[*_PIXELS, *_STORED])
        for index, content in enumerate(_stored_frames(whole)):
            if index in wanted:
                given += 1
                yield wanted[index], _single(whole, content, wanted[index])
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{path}: its pixels cannot be decoded; copy or export it again") from error
    if given < len(wanted):
        raise UserError(f"{path}: it holds the pixels of {given} of {len(wanted)} frames; copy or export it again")


def _stored_frames(whole: pydicom.Dataset) -> Iterator[bytes]:
    """The bytes of each frame, packed as they are in the file."""
    content: bytes = whole.PixelData
    total = int(whole.get("NumberOfFrames", None) or 1)
    if whole.file_meta.TransferSyntaxUID.is_compressed:
        tables = [whole.get(name, None) for name in _STORED[2:]]
        yield from generate_frames(
            content, number_of_frames=total, extended_offsets=None if None in tables else (tables[0], tables[1])
        )
        return
    size = int(whole.Rows) * int(whole.Columns) * int(whole.BitsAllocated) // 8
    for index in range(min(total, len(content) // size)):
        yield content[index * size : (index + 1) * size]


def _single(whole: pydicom.Dataset, content: bytes, frame: Frame) -> pydicom.Dataset:
    """A frame as an image of its own."""
    one = pydicom.Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = whole.file_meta.TransferSyntaxUID
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = CTImageStorage
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.{frame.index}")
    for name in _PIXELS:
        if name in whole:
            setattr(one, name, whole[name].value)
    one.RescaleSlope = DSfloat(frame.slope, auto_format=True)
    one.RescaleIntercept = DSfloat(frame.intercept, auto_format=True)
    packed = one.file_meta.TransferSyntaxUID.is_compressed
    one.PixelData = encapsulate([content]) if packed else content + bytes(len(content) % 2)
    one["PixelData"].VR = "OB" if packed else "OW"
    one["PixelData"].is_undefined_length = packed
    return one
