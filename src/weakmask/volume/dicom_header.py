"""The header of one DICOM file: its series, and the place and size of its slice, or of each of its frames."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom

from weakmask.errors import UserError, refuse_machine_fault
from weakmask.volume.dicom_file import read_dataset
from weakmask.volume.dicom_frames import frame_headers, is_enhanced
from weakmask.volume.slice_stack import Slice

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # masks of bits; label maps
SUFFIXES = (".dcm", ".dicom", ".dic", ".ima", ".ctdc")  # usual, but a file needs none
_NOT_SCANS = {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "PR", "SR", "KO", "REG", "DOC"}
_VOLUMES = {"CT", "MR", "PT", "NM"}  # of these a pixel has a size in the patient
_MARKS = ("AcquisitionNumber", "AcquisitionTime", "ConvolutionKernel")
_TIMES = ("TemporalPositionIndex", "TemporalPositionTimeOffset", "NominalPercentageOfCardiacPhase")
_NAMED = (".dcm", ".dicom")  # a file of this name that is not DICOM is a fault, others are ignored
_VALUE_TYPES = (b"UL", b"OB", b"UI", b"SH", b"CS", b"DA", b"TM", b"LO", b"ST", b"PN", b"AE", b"SQ", b"US", b"DT")


@dataclass(frozen=True)
class Header:
    """Header of a grey-value image, or of one frame of an enhanced one.

    Attributes:
        series_uid: SeriesInstanceUID; may be empty, as all UIDs.
        image_uid: SOPInstanceUID.
        study_uid: StudyInstanceUID.
        description: SeriesDescription; may be empty.
        modality: CT, MR, CR, DX ...
        localizer: Whether it is a scout view.
        slice: Place and size of the image.
        series_number: SeriesNumber; empty if not stated.
        patient: PatientID; may be empty.
        stack: StackID of a frame; empty if not stated.
        time: Temporal position of a frame, or phase of the heart; empty if not stated.
        frames: Frames in a file that states no place of each, and cannot be read; else 1.
    """

    series_uid: str
    image_uid: str
    study_uid: str
    description: str
    modality: str
    localizer: bool
    slice: Slice
    series_number: str = ""
    patient: str = ""
    stack: str = ""
    time: str = ""
    frames: int = 1


def is_dicom(path: Path) -> bool:
    """Whether the content of a file is DICOM: the mark at byte 128, or elements from the first byte, as in old files.

    Raises:
        OSError: The file cannot be read.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or _begins_with_an_element(start)


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation (SEG).

    Raises:
        OSError: The file cannot be read.
    """
    if not is_dicom(path):
        return False
    try:
        header = read_dataset(path, pixels=False, only=["SOPClassUID", "Modality"], force=True)
        return str(header.get("SOPClassUID", "")) in SEGMENTATIONS or header.get("Modality") == "SEG"
    except (OSError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 (a damaged header makes pydicom raise nearly anything)
        return False


def read_headers(path: Path) -> list[Header]:
    """Read the header of a grey-value image: one, or one for each frame of enhanced DICOM; none for any other file.

    Raises:
        UserError: The file cannot be read, has a damaged DICOM header, or is called .dcm and is not DICOM.
    """
    named = path.suffix.lower() in _NAMED
    marked = False
    try:
        if not path.is_file():
            path.stat()  # raises if a link leads nowhere; a pipe or a device is no image
            return []
        if not named and not is_dicom(path):
            return []
        marked = _is_marked(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # non-standard headers are common and mostly harmless
            header = read_dataset(path, pixels=False, force=not marked)
            sized = "Rows" in header and "Columns" in header
            known = "SOPClassUID" in header or (sized and (marked or "BitsAllocated" in header))
            grey = sized and int(header.get("SamplesPerPixel", None) or 1) == 1
            images = _images(header, path) if grey and known else []
    except UserError:
        raise
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    except Exception as error:
        if not named and not marked:  # by chance it began like DICOM
            return []
        raise UserError(f"{path}: its DICOM header is damaged; copy or export it again, or remove it") from error
    if named and not known:
        raise UserError(f"{path}: not a DICOM file; copy or export it again, correct its name, or remove it")
    return images


def _is_marked(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _begins_with_an_element(start: bytes) -> bool:
    """Whether bytes begin with an element of group 2 or 8, little endian, as a file without preamble does."""
    group, element, length = (int.from_bytes(start[a:b], "little") for a, b in ((0, 2), (2, 4), (4, 8)))
    if len(start) < 16 or group not in (2, 8) or element > 0x70:
        return False
    return start[4:6] in _VALUE_TYPES or (length <= 64 and length % 2 == 0)


def _images(header: pydicom.Dataset, path: Path) -> list[Header]:
    if header.get("Modality", "") in _NOT_SCANS:
        return []
    if not is_enhanced(header):
        return [_header(header, path)]
    images: list[Header] = []
    for one, frame in frame_headers(header, path):
        image = _header(one, path)
        time = next((str(one[name].value) for name in _TIMES if name in one), "")
        framed = replace(image.slice, frame=frame)
        images.append(replace(image, slice=framed, frames=1, stack=str(one.get("StackID", "") or ""), time=time))
    return images


def _header(header: pydicom.Dataset, path: Path) -> Header:
    modality = str(header.get("Modality", "") or "?")
    position = header.get("ImagePositionPatient") or None
    orientation = header.get("ImageOrientationPatient") or None
    in_patient = modality in _VOLUMES or position is not None
    spacing, source = _spacing(header, in_patient=in_patient)
    thickness = float(header.get("SliceThickness") or 0)
    kinds = [header.get(name) or [] for name in ("ImageType", "FrameType")]
    syntax = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
    return Header(
        series_uid=str(header.get("SeriesInstanceUID", "") or ""),
        image_uid=str(header.get("SOPInstanceUID", "") or ""),
        study_uid=str(header.get("StudyInstanceUID", "") or ""),
        description=str(header.get("SeriesDescription", "") or "").strip(),
        modality=modality,
        localizer=any("LOCALIZER" in ([kind] if isinstance(kind, str) else list(kind)) for kind in kinds),
        frames=int(header.get("NumberOfFrames", None) or 1),
        series_number=str(header.get("SeriesNumber", "") or "").strip(),
        patient=str(header.get("PatientID", "") or "").strip(),
        slice=Slice(
            path=path,
            shape=(int(header.Rows), int(header.Columns)),
            spacing_mm=spacing,
            thickness_mm=thickness if thickness > 0 else None,
            position=None if position is None else _three(position),
            orientation=None if orientation is None else (*_three(orientation[:3]), *_three(orientation[3:])),
            number=int(header.get("InstanceNumber") or 0),
            marks=tuple(str(header.get(name, "") or "") for name in _MARKS),
            spacing_from=source,
            in_patient=in_patient,
            bits=int(header.get("BitsAllocated", None) or 16),
            packed=syntax is not None and bool(syntax.is_compressed),
        ),
    )


def _spacing(header: pydicom.Dataset, *, in_patient: bool) -> tuple[tuple[float, float] | None, str]:
    """Size of a pixel, and the field that states it if it is not PixelSpacing.

    At the detector of an X-ray pixels have another size than in the patient; it serves where no slices are stacked.
    """
    stated = header.get("PixelSpacing")
    if stated:
        return (float(stated[0]), float(stated[1])), ""
    if in_patient:
        return None, ""
    for name in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if header.get(name):
            return (float(header[name].value[0]), float(header[name].value[1])), name
    return (1.0, 1.0), "1 mm"


def _three(numbers: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = numbers
    return float(x), float(y), float(z)
