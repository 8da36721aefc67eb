"""A figure of pictures in rows: one row per image, one column per step, labels as tints over the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Integer, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from weakmask.evaluation.class_masks import IGNORED
from weakmask.report.figures import HEAT, data_uri

INCHES, DPI, QUALITY = 1.7, 110, 82
TINT = 0.55  # opacity of a label
COLOURS = np.rint(255 * np.asarray(mpl.colormaps["tab10"].resampled(10)(range(10)))[:, :3]).astype(np.uint8)
UNSURE = (128, 128, 128)

Colours = UInt8[np.ndarray, "y x 3"]


@dataclass(frozen=True)
class PictureRow:
    """One image of the figure.

    Attributes:
        name: Of the image.
        headline: A second line, such as a score.
        panels: Title of a column -> picture.
    """

    name: str
    headline: str
    panels: Mapping[str, Colours]


def tinted(picture: Colours, labels: Integer[np.ndarray, "y x"]) -> Colours:
    """A picture with a colour over each class; grey where a label is ignored."""
    found = picture.astype(np.float32)
    for label in np.unique(labels[labels != 0]).tolist():
        colour = UNSURE if label == IGNORED else COLOURS[(label - 1) % len(COLOURS)]
        inside = labels == label
        found[inside] = (1 - TINT) * found[inside] + TINT * np.asarray(colour, np.float32)
    return np.rint(found).astype(np.uint8)


def heated(picture: Colours, activation: Float[np.ndarray, "y x"]) -> Colours:
    """A map in [0, 1] over a picture."""
    heat = 255 * HEAT[np.rint(255 * activation.clip(0, 1)).astype(np.uint8)]
    return np.rint((1 - TINT) * picture + TINT * heat).astype(np.uint8)


def draw_picture_rows(rows: Sequence[PictureRow]) -> str:
    """The figure as a data URI; empty without rows. A panel that a row lacks stays white."""
    if not rows:
        return ""
    titles = list(dict.fromkeys(title for row in rows for title in row.panels))
    shape = len(rows), len(titles)
    figure = Figure(figsize=(INCHES * shape[1], INCHES * shape[0]), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes: np.ndarray = figure.subplots(*shape, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        for axis, title in zip(line, titles, strict=True):
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
            if title in row.panels:
                axis.imshow(row.panels[title], interpolation="nearest")
        line[0].set_ylabel(f"{row.name[:24]}\n{row.headline}", fontsize=6)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    raw, packed = BytesIO(), BytesIO()
    figure.savefig(raw, format="png")
    Image.open(raw).convert("RGB").save(packed, "WEBP", quality=QUALITY, method=4)
    return data_uri(packed.getvalue(), "image/webp")
