"""Masks as DICOM segmentations (SEG)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from weakmask import __version__
from weakmask.pacs.codes import code, finding, site
from weakmask.pacs.identifiers import MAKER, fix_drawn_uids, uid_of
from weakmask.pacs.source_series import SourceSeries
from weakmask.volume.volume import Volume

Kind = Literal["lesions", "regions"]

LESION_COLOURS = ((255, 159, 28), (239, 68, 68), (168, 85, 247), (234, 179, 8))
REGION_COLOURS = ((56, 189, 248), (45, 212, 191), (134, 239, 172), (253, 224, 71), (196, 181, 253), (251, 146, 180))


@dataclass(frozen=True)
class ObjectIdentity:
    """Identity of the objects of one result.

    Attributes:
        digest: Of everything that the result was made from.
        method: Name of the method that made it.
        date: When the result was made, YYYYMMDD.
        time: HHMMSS.
    """

    digest: str
    method: str
    date: str
    time: str

    def uid(self, source: SourceSeries, kind: str, what: str) -> str:
        """The UID of an object or its series: of source series, result and kind.

        Args:
            source: The images.
            kind: lesions, regions, scores or picture.
            what: instance or series.
        """
        return uid_of(source.uid, self.digest, kind, what)


def segmentation_object(
    mask: Volume,
    names: Mapping[int, str],
    source: SourceSeries,
    identity: ObjectIdentity,
    kind: Kind = "lesions",
    *,
    labelmap: bool = False,
) -> Segmentation | None:
    """A mask as a SEG, a segment for each label; None for a mask without any.

    Args:
        mask: On the grid of the source; 0 is outside.
        names: Label -> name of a segment.
        source: The images that it lies on.
        identity: Source of its UIDs.
        kind: Whether the segments are findings, or parts of the body.
        labelmap: Write the small form of DICOM 2024c, which older viewers do not know, instead of bits.
    """
    voxels = source.frames_of(mask, "mask")
    labels = [int(label) for label in np.unique(voxels) if label > 0]
    if not labels:
        return None
    of_regions = kind == "regions"
    numbers = np.zeros(max(labels) + 1, np.uint8)
    numbers[labels] = np.arange(1, len(labels) + 1)
    segments = [
        _segment(number, names.get(label, f"label {label}"), identity.method, of_regions=of_regions)
        for number, label in enumerate(labels, 1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of incomplete source headers
        made = Segmentation(
            source_images=source.images,
            pixel_array=numbers[voxels],
            segmentation_type=SegmentationTypeValues.LABELMAP if labelmap else SegmentationTypeValues.BINARY,
            segment_descriptions=segments,
            series_instance_uid=identity.uid(source, kind, "series"),
            series_number=9001 if of_regions else 9000,
            sop_instance_uid=identity.uid(source, kind, "instance"),
            instance_number=1,
            manufacturer=MAKER,
            manufacturer_model_name=MAKER,
            software_versions=__version__,
            device_serial_number="0",
            content_label=kind.upper(),
            content_description=f"{kind} by weakmask, for research",
            transfer_syntax_uid=RLELossless if labelmap else ExplicitVRLittleEndian,
            series_description=f"weakmask {kind}",
        )
    source.number_frames(made)
    finish_object(made, source, identity, kind)
    return made


def finish_object(made, source: SourceSeries, identity: ObjectIdentity, kind: str) -> None:  # noqa: ANN001 (any object)
    """Give an object the date of its result, and UIDs that are the same each time.

    Args:
        made: An object of highdicom.
        source: The images.
        identity: Source of its UIDs.
        kind: lesions, regions, scores or picture.
    """
    for name in ("ContentDate", "SeriesDate", "InstanceCreationDate"):
        if name in made:
            setattr(made, name, identity.date)
    for name in ("ContentTime", "SeriesTime", "InstanceCreationTime"):
        if name in made:
            setattr(made, name, identity.time)
    if "DateOfSecondaryCapture" in made:
        made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = identity.date, identity.time
    for equipment in made.get("ContributingEquipmentSequence", ()):
        equipment.ContributionDateTime = identity.date + identity.time
    fix_drawn_uids(made, source.uid, identity.digest, kind)


def _segment(number: int, name: str, method: str, *, of_regions: bool) -> SegmentDescription:
    place, side = site(name)
    colours = REGION_COLOURS if of_regions else LESION_COLOURS
    segment = SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=code("categories", "site" if of_regions else "finding"),
        segmented_property_type=place if of_regions else finding(name),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=method[:64], version=__version__, family=codes.DCM.ArtificialIntelligence
        ),
        display_color=CIELabColor.from_rgb(*colours[(number - 1) % len(colours)]),
    )
    if of_regions and side is not None:  # highdicom has no argument for the side
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = Sequence([side])
    return segment
