"""Card of one scan in the report: panels of pictures and outlines, ready for the template."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weakmask.anatomy.region_parts import region_part
from weakmask.report.figures import agreement_picture, grey_picture, heat_picture, png, webp
from weakmask.report.outlines import borders, outline
from weakmask.report.planes import AXIAL, Plane, cut
from weakmask.report.scan_view import ScanView, Scene, set_scene
from weakmask.report.score_columns import ScoreTable, score_table
from weakmask.report.slices import axial_levels, choose_slices, marked_box, with_margin
from weakmask.volume.geometry import Box, Index3

ROW_PIXELS = 2200  # widths of the three planes together: sharp on a 2x display at full page width
FLAT_PIXELS = 1000
LEVEL_PIXELS = 330
LEVELS = 6
BAR_MM = 50
# The layout at full page width, in CSS pixels, so that one scan fills about one laptop screen.
CANVAS = 1116
TALLEST = 430  # a taller row of panels is made narrower
CAPTION = 28


@dataclass(frozen=True)
class Panel:
    """One slice: pictures as data URIs, outlines as SVG paths in units of half voxels.

    Attributes:
        plane: Name of the plane; empty for a single picture.
        position: Position of the slice, for the caption.
        alt: Alternative text of the picture.
        picture: The grey slice.
        heat: The slice with the activation map over it, if any.
        tint: Transparent picture of agreement and errors, if there are two masks.
        outlines: (CSS class, path), drawn in this order.
        view_box: Width and height of the paths' units.
        size: Pixels of the picture, (width, height).
        width_mm: Physical width, which gives all panels of a row the same scale.
        marks: Sides of the patient at the left and right.
        ticks: Positions of the other planes: ("x" or "y", per cent from the left or top).
        bar_percent: Length of the scale bar in per cent of the width; 0 for none.
    """

    plane: str
    position: str
    alt: str
    picture: str
    heat: str
    tint: str
    outlines: tuple[tuple[str, str], ...]
    view_box: tuple[int, int]
    size: tuple[int, int]
    width_mm: float
    marks: tuple[str, str]
    ticks: tuple[tuple[str, float], ...]
    bar_percent: float


@dataclass(frozen=True)
class Card:
    """One scan, ready for the template.

    Attributes:
        name: The scan's name.
        headline: Short line beside the name.
        rank: Cards are shown by ascending rank.
        panels: The planes, or one picture.
        levels: Small axial panels.
        reason: Why these slices were chosen.
        row_width: Largest width of a row of planes, CSS pixels.
        level_width: Width of a level where the levels stand in a column beside two rows, CSS pixels.
        drawn: The available layers of mask, truth, activation, regions.
        scores: Severity per region.
        link: Address of a page to scroll in; empty: there is none.
    """

    name: str
    headline: str
    rank: float
    panels: tuple[Panel, ...]
    levels: tuple[Panel, ...]
    reason: str
    row_width: int
    level_width: int
    drawn: tuple[str, ...]
    scores: ScoreTable | None
    link: str = ""

    @property
    def compared(self) -> bool:
        """Whether the scan has a truth or given scores, so that cards can be ranked."""
        return "truth" in self.drawn or (self.scores is not None and self.scores.compared)


def draw_scan(view: ScanView) -> Card:
    """Draw one scan; needs about the memory of a few slices for a scan of any size."""
    scene = set_scene(view)
    frame = scene.frame
    choice = choose_slices(scene)
    marked = marked_box(scene)
    box = with_margin(marked, scene) if marked else Box((0, 0, 0), frame.shape)
    studio = _Studio(view, scene, box)
    across_mm = [(box.shape[p.columns] * frame.spacing_mm[p.columns]) for p in frame.planes]
    down_mm = [(box.shape[p.rows] * frame.spacing_mm[p.rows]) for p in frame.planes]
    scale = (FLAT_PIXELS / max(across_mm + down_mm)) if frame.flat else ROW_PIXELS / sum(across_mm)
    panels = tuple(studio.panel(plane, choice.index, scale) for plane in frame.planes)
    levels: tuple[Panel, ...] = ()
    if not frame.flat:
        shown = axial_levels(marked or box, LEVELS)
        middle = (choice.index[1], choice.index[2])
        levels = tuple(studio.panel(AXIAL, (z, *middle), LEVEL_PIXELS / across_mm[0], level=True) for z in shown)
    columns = 2 * sum(across_mm) if frame.flat and scene.activation is not None else sum(across_mm)
    row_width = round(TALLEST * columns / max(down_mm))
    return Card(
        name=view.name,
        headline=view.headline,
        rank=view.rank,
        panels=panels,
        levels=levels,
        reason="" if frame.flat else choice.reason,
        row_width=row_width,
        level_width=_level_width(row_width, max(down_mm) / columns, across_mm[0] / down_mm[0]),
        drawn=tuple(k for k in ("mask", "truth", "activation", "regions") if getattr(view, k) is not None),
        scores=None if view.scores is None else score_table(view.scores),
        link=view.link,
    )


@dataclass(frozen=True)
class _Studio:
    """A scene and the part of it that is shown."""

    view: ScanView
    scene: Scene
    box: Box

    def panel(self, plane: Plane, index: Index3, scale: float, *, level: bool = False) -> Panel:
        """Draw one slice at `scale` pixels per millimetre; a level is a small panel without map, ticks and bar."""
        scene, frame, box = self.scene, self.scene.frame, self.box
        at = index[plane.across]

        def piece(layer: np.ndarray | None) -> np.ndarray | None:
            """The part of a layer that the panel shows; None for a layer that the scan does not have."""
            return None if layer is None else np.ascontiguousarray(cut(layer, plane, at, box))

        rows, columns = box.shape[plane.rows], box.shape[plane.columns]
        width_mm, height_mm = columns * frame.spacing_mm[plane.columns], rows * frame.spacing_mm[plane.rows]
        size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
        grey = grey_picture(cut(scene.image, plane, at, box), self.view.window_hu, size)
        mask, truth, regions = piece(scene.mask), piece(scene.truth), piece(scene.regions)
        activation = None if level else piece(scene.activation)
        position = "" if frame.flat else _position(plane, frame.position_mm(plane.across, at))
        return Panel(
            plane="" if frame.flat else plane.name,
            position=position,
            alt=_alt(self.view, plane.name if not frame.flat else "", position),
            picture=webp(grey),
            heat="" if activation is None else webp(heat_picture(grey, activation)),
            tint="" if mask is None or truth is None else png(agreement_picture(mask, truth)),
            outlines=_outlines(mask, truth, regions),
            view_box=(2 * columns, 2 * rows),
            size=size,
            width_mm=width_mm,
            marks=_marks_of_picture(regions, self.view.region_names) if frame.flat else plane.marks,
            ticks=() if frame.flat or level else self._ticks(plane, index),
            bar_percent=0 if frame.flat or level or width_mm < 2 * BAR_MM else 100 * BAR_MM / width_mm,
        )

    def _ticks(self, plane: Plane, index: Index3) -> tuple[tuple[str, float], ...]:
        """Positions of the slices of the other two planes in this one, in per cent."""
        along = {}
        for axis in (plane.rows, plane.columns):
            along[axis] = 100 * (index[axis] + 0.5 - self.box.start[axis]) / self.box.shape[axis]
        down = 100 - along[plane.rows] if plane.head_up else along[plane.rows]
        return ("y", round(down, 2)), ("x", round(along[plane.columns], 2))


def _marks_of_picture(regions: np.ndarray | None, names: Mapping[int, str]) -> tuple[str, str]:
    """The patient's sides at the left and right of a picture, as its regions say: a swap of masks is seen at once.

    A picture has no position in space, so nothing else says where its left is.
    """
    if regions is None:
        return "", ""
    middles = []
    for side in ("left", "right"):
        labels = [label for label, name in names.items() if region_part(name).side == side]
        columns = np.nonzero(np.isin(regions, labels))[1]
        if not len(columns):
            return "", ""
        middles.append(columns.mean())
    return ("R", "L") if middles[1] < middles[0] else ("L", "R")


def _level_width(row_width: int, row_shape: float, level_shape: float) -> int:
    """Width that makes a column of levels as tall as two rows of planes (height / width) beside it."""
    rows = 2 * (min(row_width, CANVAS - 180) * row_shape + CAPTION)
    return round(min(max((rows / LEVELS - CAPTION) * level_shape, 80), 200))


def _outlines(
    mask: np.ndarray | None, truth: np.ndarray | None, regions: np.ndarray | None
) -> tuple[tuple[str, str], ...]:
    """Paths from the bottom up; empty ones are left out."""
    paths = (
        ("regions", "" if regions is None else borders(regions)),
        ("truth", "" if truth is None else outline(truth != 0)),
        ("mask", "" if mask is None else outline(mask != 0)),
    )
    return tuple((name, path) for name, path in paths if path)


def _position(plane: Plane, position_mm: float) -> str:
    """For example `z −123 mm`, in the patient's coordinates."""
    sign = "\N{MINUS SIGN}" if round(position_mm) < 0 else ""
    return f"{'zyx'[plane.across]} {sign}{abs(round(position_mm))} mm"


def _alt(view: ScanView, plane: str, position: str) -> str:
    """Alternative text of a picture."""
    what = f"{plane.capitalize()} slice of {view.name} at {position}" if plane else f"Picture {view.name}"
    over = [words for key, words in (("mask", "the predicted mask"), ("truth", "the true mask")) if getattr(view, key)]
    return f"{what}, with {' and '.join(over)} outlined" if over else what
