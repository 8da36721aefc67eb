"""A scan on the network's grid: upright, of one shape, spanning the whole scan or its lungs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from weakmask.anatomy.upright_frame import coarse_upright
from weakmask.config import Millimetres, Settings, Shape, Window
from weakmask.errors import UserError
from weakmask.volume.geometry import Geometry
from weakmask.volume.intensity import window
from weakmask.volume.morphology import margin_voxels, object_boxes
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

COARSE_MM = 2.0  # scans are averaged to about this before they are sampled: thin slices keep no more noise than thick
OUTSIDE_HU = -1024.0
BLANK = -0.5  # below every grey value in [0, 1]
GREY_RANGE = (0.0, 1000.0)  # what `grey_values: percentiles` brings a scan to


class FrameSettings(Settings):
    """How a scan is brought onto the network's grid."""

    shape: Shape = Field(default=(64, 512, 512), description="voxels of the network's grid, z y x (P)")
    frame: Literal["scan", "lungs"] = Field(
        default="scan", description="what the grid spans: the whole scan (P), or the lungs found by threshold (O)"
    )
    margin_mm: Millimetres = Field(default=10.0, description="margin around the lungs if they are the frame (O)")
    outside: Literal["keep", "blank"] = Field(
        default="keep", description="keep the voxels outside the lungs as they are (P), or blank them (O)"
    )
    grey_values: Literal["hounsfield", "percentiles"] = Field(
        default="hounsfield",
        description=(
            "hounsfield: grey values as stored; percentiles: each scan's 1st becomes 0 and its 99th 1000 (for MR)"
        ),
    )
    window: Window = Field(default=(-1000.0, 400.0), description="grey values kept and rescaled to 0..1 (O)")

    @property
    def needs_field(self) -> bool:
        """Whether a scan's lungs must be found before the network can be asked."""
        return self.frame == "lungs" or self.outside == "blank"


@dataclass(frozen=True)
class Framed:
    """A scan as the network sees it.

    Attributes:
        image: int16 on the grid: Hounsfield units, or 0 to 1000.
        field: Left lung 1, right lung 2 on the same grid (uint8); everything 1 where no lungs were asked for.
    """

    image: Volume
    field: Volume


def frame_scan(image: Volume, field: Volume | None, settings: FrameSettings) -> Framed:
    """Bring a scan to the network's grid.

    Args:
        image: A scan of any direction and spacing.
        field: Its lungs (left 1, right 2) on the same grid; needed where the settings ask for lungs.
        settings: Shape, frame and grey values.

    Raises:
        UserError: The field is empty.
        ValueError: A field is needed and there is none.
    """
    if settings.needs_field and field is None:
        raise ValueError("these settings need the lungs")
    coarse = coarse_upright(_graded(image, settings), COARSE_MM)
    grid = coarse.geometry if settings.frame == "scan" else _lung_box(field, coarse.geometry, settings.margin_mm)
    grid = grid.with_shape(settings.shape)
    voxels = resample_onto(coarse, grid, fill=OUTSIDE_HU).voxels
    seen = np.ones(grid.shape, np.uint8) if field is None else resample_onto(field, grid).voxels.astype(np.uint8)
    return Framed(Volume(np.rint(voxels).astype(np.int16), grid), Volume(seen, grid, "label"))


def network_input(image: np.ndarray, field: np.ndarray | None, settings: FrameSettings) -> np.ndarray:
    """Grey values in [0, 1] (float32) of a framed scan; where the settings say so, `BLANK` outside the lungs.

    Args:
        image: Grey values of the framed scan.
        field: Its lungs; None only where the settings keep what lies outside.
        settings: Of the frame.

    Raises:
        ValueError: The lungs are needed and not given.
    """
    low, high = GREY_RANGE if settings.grey_values == "percentiles" else settings.window
    values = window(image, low, high)
    if settings.outside == "blank":
        if field is None:
            raise ValueError("these settings need the lungs")
        values[field == 0] = BLANK
    return values


def _graded(image: Volume, settings: FrameSettings) -> Volume:
    """The scan with grey values that mean the same in every scan."""
    if settings.grey_values == "hounsfield":
        return image
    low, high = np.percentile(image.voxels, [1, 99])
    if not high > low:
        raise UserError("the scan is all of one grey value; expected an image")
    return image.with_voxels(window(image.voxels, float(low), float(high)) * np.float32(GREY_RANGE[1]))


def _lung_box(field: Volume | None, coarse: Geometry, margin_mm: float) -> Geometry:
    """The part of the coarse grid around the lungs; it may reach past the scan."""
    if field is None:
        raise ValueError("a frame around the lungs needs the lungs")
    seen = resample_onto(field, coarse).voxels > 0
    boxes = object_boxes(seen.astype(np.int8))
    if not boxes:
        raise UserError("the scan shows no lungs; bring a chest CT")
    return coarse.cropped(boxes[0][1].grown(margin_voxels(margin_mm, coarse.spacing_mm)))
