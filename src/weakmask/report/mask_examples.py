"""A figure of example scans: a line per scan with a coronal slice, and the mask of each method in it.

As Fig. 4 of Xie et al. 2021 (arXiv 2105.11748).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pandas as pd
from jaxtyping import Bool, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from weakmask.report.planes import CORONAL, Frame, cut, facing
from weakmask.report.scan_view import ScanView
from weakmask.volume.geometry import Box
from weakmask.volume.intensity import window
from weakmask.volume.volume import Volume

MOST_SCANS = 6  # as in the paper's figure
MARGIN = 3  # voxels of anatomy around the regions
TRUTH, MARKED = "#38bdf8", "#ff9f1c"  # the report's colours; colour-blind readers can tell them apart
INCHES, DPI, QUALITY = 1.9, 130, 85


@dataclass(frozen=True)
class Example:
    """One scan as the figure shows it: one coronal slice, cropped to its regions.

    Attributes:
        name: The scan's name.
        grey: The slice in the window.
        truth: The true lesions.
        masks: Title of a row -> its mask.
        aspect: Height of a voxel over its width.
    """

    name: str
    grey: UInt8[np.ndarray, "rows columns"]
    truth: Bool[np.ndarray, "rows columns"]
    masks: dict[str, Bool[np.ndarray, "rows columns"]]
    aspect: float


def example_scans(results: pd.DataFrame) -> list[str]:
    """Scans with lesions, spread evenly from the smallest lesion volume to the largest.

    Args:
        results: Table with the columns of results.csv.
    """
    lesion = results[results["subset"] == "all"].assign(size=results["tp"] + results["fn"])
    sizes = {str(line["scan"]): int(line["size"]) for line in lesion.to_dict("records") if line["size"] > 0}
    ranked = sorted(sizes, key=lambda scan: (sizes[scan], scan))
    places = np.linspace(0, len(ranked) - 1, min(MOST_SCANS, len(ranked)))
    return [ranked[round(place)] for place in places]


def cut_example(scan: ScanView, masks: Mapping[str, Volume]) -> Example:
    """The coronal slice with the largest true lesion area, and all masks in it.

    Args:
        scan: With truth and regions.
        masks: Title of a row -> its mask.

    Raises:
        ValueError: The scan has no truth or no regions.
    """
    if scan.truth is None or scan.regions is None:
        raise ValueError(f"{scan.name}: an example needs truth and regions")
    frame = facing(scan.image.geometry)
    truth = frame.turn(scan.truth.voxels) > 0
    index, box = int(np.argmax(truth.sum(axis=(0, 2)))), _box(frame, scan.regions)

    def slice_of(volume: Volume) -> np.ndarray:
        """The slice of a volume that the example shows."""
        return np.ascontiguousarray(cut(frame.turn(volume.voxels), CORONAL, index, box))

    grey = np.rint(255 * window(slice_of(scan.image), *scan.window_hu)).astype(np.uint8)
    found = {row: slice_of(mask) > 0 for row, mask in masks.items()}
    return Example(scan.name, grey, slice_of(scan.truth) > 0, found, frame.spacing_mm[0] / frame.spacing_mm[2])


def draw_examples(examples: Sequence[Example]) -> bytes:
    """Draw examples as a WebP picture; empty without examples."""
    if not examples:
        return b""
    rows = list(dict.fromkeys(row for example in examples for row in example.masks))
    shape = len(examples), len(rows) + 1
    figure = Figure(figsize=(INCHES * shape[1], 0.85 * INCHES * shape[0]), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes: np.ndarray = figure.subplots(*shape, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for line, example in zip(axes, examples, strict=True):
        for axis, row in zip(line, [None, *rows], strict=True):
            _panel(axis, example, None if row is None else example.masks.get(row))
        line[0].set_ylabel(example.name, fontsize=7)
    for axis, title in zip(axes[0], ["true lesions", *rows], strict=True):
        axis.set_title(title, fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.05)
    webp = BytesIO()
    Image.open(buffer).convert("RGB").save(webp, "WEBP", quality=QUALITY, method=4)
    return webp.getvalue()


def _panel(axis: Axes, example: Example, mask: np.ndarray | None) -> None:
    """One slice with the outlines of the truth and, above it, of the method's mask."""
    axis.imshow(example.grey, cmap="gray", vmin=0, vmax=255, aspect=example.aspect)
    for marked, colour in ((example.truth, TRUTH), (mask, MARKED)):
        if marked is not None and marked.any():
            around = np.pad(marked, 1).astype(float)  # so that an outline closes at the picture's edge
            down, along = (np.arange(-1, side + 1) for side in marked.shape)
            axis.contour(along, down, around, levels=[0.5], colors=colour, linewidths=0.9)
    axis.set(xlim=(-0.5, example.grey.shape[1] - 0.5), ylim=(example.grey.shape[0] - 0.5, -0.5))
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def _box(frame: Frame, regions: Volume) -> Box:
    """The regions with a margin, on the turned grid."""
    inside = frame.turn(regions.voxels) > 0
    if not inside.any():
        return Box((0, 0, 0), frame.shape)
    spans = [np.flatnonzero(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    (z, y, x) = ((int(span[0]), int(span[-1]) + 1) for span in spans)
    return Box((z[0], y[0], x[0]), (z[1], y[1], x[1])).grown((MARGIN, MARGIN, MARGIN)).clipped(frame.shape)
