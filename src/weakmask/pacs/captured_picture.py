"""A picture of a result with its scores as a secondary capture, which every PACS shows."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from highdicom.sc import SCImage
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import ExplicitVRLittleEndian

from weakmask.pacs.identifiers import MAKER
from weakmask.pacs.segmentation_object import ObjectIdentity, finish_object
from weakmask.pacs.source_series import SourceSeries

LINE = 26  # pixels
MARGIN = 16
WIDTHS = (150, 80, 110, 330)  # of the columns, in pixels


def captured_picture(
    picture: UInt8[np.ndarray, "height width 3"], source: SourceSeries, identity: ObjectIdentity
) -> SCImage:
    """A picture as an object of the scan's study.

    Args:
        picture: Red, green and blue.
        source: The images.
        identity: Source of its UIDs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of incomplete source headers
        made = SCImage.from_ref_dataset(
            ref_dataset=source.images[0],
            pixel_array=picture,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),
            series_instance_uid=identity.uid(source, "picture", "series"),
            series_number=9003,
            sop_instance_uid=identity.uid(source, "picture", "instance"),
            instance_number=1,
            manufacturer=MAKER,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            series_description="weakmask picture, for research",
        )
    made.Laterality = ""
    finish_object(made, source, identity, "picture")
    return made


def picture_with_scores(
    picture: UInt8[np.ndarray, "height width 3"], statistics: Sequence[Mapping[str, Any]], method: str
) -> UInt8[np.ndarray, "height width 3"]:
    """A picture of slices with a table under it; no name of the patient or the scan is drawn.

    Args:
        picture: The slices.
        statistics: Rows of `region_statistics`.
        method: Name of the method.
    """
    rows = [("region", "score", "share", "lesions / region"), *(_cells(row) for row in statistics)]
    height = 2 * MARGIN + LINE * (len(rows) + 1)
    width = max(picture.shape[1], 2 * MARGIN + sum(WIDTHS))
    page = Image.new("RGB", (width, picture.shape[0] + height))
    page.paste(Image.fromarray(picture), (0, 0))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(LINE * 0.7)
    top = picture.shape[0] + MARGIN
    draw.text((MARGIN, top), f"{MAKER}: {method}; for research, not a medical device", "white", font)
    for number, row in enumerate(rows, 1):
        left = MARGIN
        for cell, step in zip(row, WIDTHS, strict=True):
            draw.text((left, top + number * LINE), cell, "white" if number > 1 else (160, 160, 160), font)
            left += step
    return np.asarray(page)


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    score = "-" if row.get("score") is None else str(row["score"])
    share = "-" if row.get("fraction") is None else f"{100 * row['fraction']:.1f} %"
    return str(row["region"])[:14], score, share, f"{row['lesion_ml']:.1f} ml / {row['region_ml']:.0f} ml"
