"""Volumes, shares and scores of each region as a structured report (Comprehensive 3D SR, TID 1500)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.sr.codedict import codes

from weakmask import __version__
from weakmask.pacs.codes import code, site
from weakmask.pacs.identifiers import MAKER, uid_of
from weakmask.pacs.segmentation_object import ObjectIdentity, finish_object
from weakmask.pacs.source_series import SourceSeries

# column of statistics.csv -> name of the measurement, its unit, and the factor to it
MEASURED = {
    "region_ml": ("volume", "ml", 1.0),
    "lesion_ml": ("lesion_volume", "ml", 1.0),
    "fraction": ("lesion_fraction", "percent", 100.0),
    "score": ("score", "score", 1.0),
    "lesions": ("lesions", "one", 1.0),
}


def measurement_report(
    statistics: Sequence[Mapping[str, Any]],
    source: SourceSeries,
    segmentations: Mapping[str, Segmentation],
    identity: ObjectIdentity,
) -> Comprehensive3DSR:
    """The report of one result; a group of measurements for each region and one for all together.

    Args:
        statistics: Rows of `region_statistics`.
        source: The images.
        segmentations: The SEG objects: regions, lesions, or none.
        identity: Source of its UIDs.
    """
    segments = _segments_of(segmentations.get("regions"))
    groups = [_group(row, source, segments.get(str(row["region"])), identity) for row in statistics]
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=uid_of(MAKER, __version__), name=MAKER, model_name=identity.method[:64], manufacturer_name=MAKER
        ),
    )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=code("report", "procedure"),
        imaging_measurements=groups,
        title=code("report", "title"),
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(code("report", "language")),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of incomplete source headers
        made = Comprehensive3DSR(
            evidence=[*source.images, *segmentations.values()],
            content=content,
            series_instance_uid=identity.uid(source, "scores", "series"),
            series_number=9002,
            sop_instance_uid=identity.uid(source, "scores", "instance"),
            instance_number=1,
            manufacturer=MAKER,
            is_complete=True,
            is_final=False,
            is_verified=False,
            series_description="weakmask scores, for research",
        )
    finish_object(made, source, identity, "scores")
    return made


def _segments_of(regions: Segmentation | None) -> dict[str, tuple[Segmentation, int]]:
    """Name of a region -> its object and the number of its segment."""
    if regions is None:
        return {}
    return {str(one.SegmentLabel): (regions, int(one.SegmentNumber)) for one in regions.SegmentSequence}


def _group(
    row: Mapping[str, Any],
    source: SourceSeries,
    segment: tuple[Segmentation, int] | None,
    identity: ObjectIdentity,
) -> MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations:
    """The measurements of one region, which refer to its segment where there is one."""
    name = str(row["region"])
    place, side = site("lung" if name == "all" else name)
    measurements = [
        Measurement(code("measurements", what), round(float(row[column]) * factor, 6), code("units", unit))
        for column, (what, unit, factor) in MEASURED.items()
        if row.get(column) is not None
    ]
    tracking = TrackingIdentifier(uid_of(source.uid, identity.digest, "tracking", name), name)
    common = {
        "tracking_identifier": tracking,
        "algorithm_id": AlgorithmIdentification(identity.method[:64], __version__),
        "finding_type": code("findings", "lesion"),
        "finding_sites": [FindingSite(place, laterality=side)],
        "measurements": measurements,
    }
    if segment is None:
        return MeasurementsAndQualitativeEvaluations(**common)
    made, number = segment
    referred = ReferencedSegment(
        made.SOPClassUID, made.SOPInstanceUID, number, source_series=SourceSeriesForSegmentation(source.uid)
    )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=referred, **common)
