"""The DICOM objects of one result: lesions, regions, scores and a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.seg import Segmentation
from jaxtyping import UInt8

from weakmask.atomic_write import atomic_folder
from weakmask.pacs.captured_picture import captured_picture, picture_with_scores
from weakmask.pacs.measurement_report import measurement_report
from weakmask.pacs.segmentation_object import Kind, ObjectIdentity, segmentation_object
from weakmask.pacs.source_series import SourceSeries
from weakmask.volume.dicom_file import file_bytes
from weakmask.volume.volume import Volume

FOLDER = "dicom"  # beside the masks of a result


@dataclass(frozen=True, eq=False)
class ResultForPacs:
    """A result that becomes DICOM objects.

    Attributes:
        mask: Lesions; 0 is outside.
        finding_names: Label of the mask -> name.
        regions: None: there are none.
        region_names: Label -> name of the regions.
        statistics: Rows of `region_statistics`; none make no report.
        picture: Slices with the mask, (height, width, 3); None: no picture.
    """

    mask: Volume
    finding_names: Mapping[int, str]
    regions: Volume | None
    region_names: Mapping[int, str]
    statistics: Sequence[Mapping[str, Any]]
    picture: UInt8[np.ndarray, "height width 3"] | None


def write_objects(
    folder: Path, result: ResultForPacs, source: SourceSeries, identity: ObjectIdentity, *, labelmap: bool = False
) -> list[str]:
    """Write the files of `result_objects` into a folder, complete or not at all; returns their names.

    Raises:
        UserError: A mask lies on another grid than the images.
        MachineError: The folder cannot be written.
    """
    objects = result_objects(result, source, identity, labelmap=labelmap)
    with atomic_folder(folder) as temporary:
        for name, content in objects.items():
            (temporary / name).write_bytes(content)
    return list(objects)


def result_objects(
    result: ResultForPacs, source: SourceSeries, identity: ObjectIdentity, *, labelmap: bool = False
) -> dict[str, bytes]:
    """The files lesions.dcm, regions.dcm, scores.dcm and picture.dcm: name -> content.

    A mask without lesions makes no lesions.dcm: viewers fail on empty segments, and the report says 0.

    Args:
        result: The result.
        source: The images it was made from.
        identity: Source of the UIDs.
        labelmap: Write masks in the small form that older viewers do not know.

    Raises:
        UserError: A mask lies on another grid than the images.
    """
    layers: dict[Kind, tuple[Volume | None, Mapping[int, str]]] = {
        "lesions": (result.mask, result.finding_names),
        "regions": (result.regions, result.region_names),
    }
    masks: dict[str, Segmentation] = {}
    for kind, (mask, names) in layers.items():
        made = None
        if mask is not None:
            made = segmentation_object(mask, names, source, identity, kind, labelmap=labelmap)
        if made is not None:
            masks[kind] = made
    objects: dict[str, Any] = dict(masks)
    if result.statistics:
        objects["scores"] = measurement_report(result.statistics, source, masks, identity)
    if result.picture is not None:
        drawn = picture_with_scores(result.picture, result.statistics, identity.method)
        objects["picture"] = captured_picture(drawn, source, identity)
    return {f"{kind}.dcm": file_bytes(made, complete=True) for kind, made in objects.items()}
