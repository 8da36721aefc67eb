"""The page in which a result is scrolled: three planes and 3-D, the mask and the regions over them, the scores beside.

It is one HTML file. Its Content-Security-Policy allows no request: the volumes and the drawing library are inside.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from weakmask.atomic_write import atomic_file
from weakmask.outgoing_text import escaped
from weakmask.report.scan_view import ScanView
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.volume import Volume
from weakmask.web.page_volumes import image_texts, map_text, page_text

HERE = Path(__file__).parent
LIBRARY = HERE / "vendor" / "niivue-0.69.0.umd.js.gz"
MOST_BYTES = 5_000_000  # of a page
MARGIN_MM = 12.0
SOFT_TISSUE = (-160.0, 240.0)  # HU
COLUMNS = {
    "region": "region",
    "score": "score",
    "fraction": "share",
    "lesion_ml": "lesions, ml",
    "region_ml": "region, ml",
    "lesions": "number",
}


def write_viewer(
    path: Path, view: ScanView, rows: Sequence[Mapping[str, Any]], *, hounsfield: bool, preview: bytes = b""
) -> None:
    """Write the page of a result, complete or not at all.

    Args:
        path: The file.
        view: The image and its layers.
        rows: Rows of `region_statistics`; without them there is no table.
        hounsfield: Whether the image is in HU: then there is a window for soft tissue, too.
        preview: A WebP picture for browsers that cannot draw; empty: none.

    Raises:
        MachineError: The folder cannot be written.
    """
    page = viewer_page(view, rows, hounsfield=hounsfield, preview=preview)
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def viewer_page(view: ScanView, rows: Sequence[Mapping[str, Any]], *, hounsfield: bool, preview: bytes = b"") -> str:
    """The page of a result, of at most 5 MB where that leaves 64 x 64 pixels of a slice."""
    box = _shown_box(view)
    cut = {
        name: layer.crop(box)
        for name, layer in (("mask", view.mask), ("truth", view.truth), ("regions", view.regions))
        if layer is not None and layer.voxels.any()
    }
    layers = {name: page_text(_as_bytes(layer)) for name, layer in cut.items()}
    library = base64.b64encode(LIBRARY.read_bytes()).decode("ascii")
    room = MOST_BYTES - len(library) - sum(map(len, layers.values())) - 40_000
    image, activation = _image_and_map(view, box, room, hounsfield=hounsfield)
    data = {
        "image": image,
        "layers": layers | ({"map": activation} if activation else {}),
        "windows": _windows(view.window_hu, hounsfield=hounsfield),
        "names": {str(label): name for label, name in view.region_names.items()},
        "places": _places(view, [str(row["region"]) for row in rows]),
        "unit": " HU" if hounsfield else "",
        "flat": view.image.geometry.shape[0] == 1,
    }
    return _rendered(view.name, data, rows, library, preview)


def _image_and_map(view: ScanView, box: Box, room: int, *, hounsfield: bool) -> tuple[str, str]:
    """The largest forms of the image and the map that fit into some bytes, but of at least 64 x 64 pixels."""
    image = view.image.crop(box)
    activation = None if view.activation is None else view.activation.crop(box)
    made: dict[int, str] = {}  # maps by the side of the blocks that are averaged
    for text, factor in image_texts(image, view.window_hu, hounsfield=hounsfield):
        if factor not in made:
            made[factor] = "" if activation is None else map_text(activation, factor)
        small = min(image.geometry.shape[1:]) // factor < 64
        if len(text) + len(made[factor]) <= room or small:
            return text, made[factor]
    raise RuntimeError("image_texts ended")


def _rendered(
    name: str, data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], library: str, preview: bytes
) -> str:
    """The HTML; its policy names the hash of its one script."""
    script = (HERE / "viewer.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    shown = [column for column in COLUMNS if any(row.get(column) is not None for row in rows)]
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("viewer.html.jinja").render(
        name=escaped(name),
        digest=digest,
        style=(HERE / "viewer.css").read_text(encoding="utf-8"),
        script=script,
        data=json.dumps(data).replace("<", "\\u003c"),
        library=library,
        preview=base64.b64encode(preview).decode("ascii"),
        head=[COLUMNS[column] for column in shown],
        rows=[[_cell(column, row.get(column)) for column in shown] for row in rows],
        layers=[layer for layer in ("mask", "truth", "regions", "map") if layer in data["layers"]],
        windows=list(data["windows"]),
        flat=data["flat"],
    )


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column == "fraction":
        return f"{100 * value:.1f} %"
    return escaped(value) if isinstance(value, str) else f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def _windows(window: tuple[float, float], *, hounsfield: bool) -> dict[str, tuple[float, float]]:
    """Name of a window -> the grey values that are black and white."""
    if not hounsfield:
        return {"image": (0.0, 255.0)}
    return {"lung": (float(window[0]), float(window[1])), "soft tissue": SOFT_TISSUE}


def _as_bytes(layer: Volume) -> Volume:
    """Labels in one byte; larger ones are all 255."""
    return layer.with_voxels(np.minimum(layer.voxels, 255).astype(np.uint8))


def _shown_box(view: ScanView) -> Box:
    """The box of all layers with a margin; the whole image where there are none."""
    grid = view.image.geometry
    layers = [layer.voxels for layer in (view.mask, view.truth, view.regions) if layer is not None]
    spans = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        marked = np.logical_or.reduce([(layer != 0).any(axis=axes) for layer in layers]) if layers else np.zeros(1)
        spans.append(np.flatnonzero(marked))
    if any(not len(span) for span in spans):
        return grid.box
    z, y, x = (int(np.ceil(MARGIN_MM / spacing)) for spacing in grid.spacing_mm)
    low = (int(spans[0][0]), int(spans[1][0]), int(spans[2][0]))
    high = (int(spans[0][-1]) + 1, int(spans[1][-1]) + 1, int(spans[2][-1]) + 1)
    return Box(low, high).grown((z, y, x)).clipped(grid.shape)


def _places(view: ScanView, regions: Sequence[str]) -> list[list[float] | None]:
    """A point for each region, in mm as NIfTI has them: in the slice with most of its lesions, else of itself."""
    numbers = {name: label for label, name in view.region_names.items()}
    return [_place(view, numbers.get(region)) for region in regions]


def _place(view: ScanView, label: int | None) -> list[float] | None:
    """A voxel in the middle of the largest slice of a region's lesions; of all lesions where there is no label."""
    inside = (
        None if view.regions is None else view.regions.voxels > 0 if label is None else view.regions.voxels == label
    )
    mask = None if view.mask is None else view.mask.voxels != 0
    marked = mask if inside is None else inside if mask is None else mask & inside
    if marked is None or not marked.any():
        marked = inside
    if marked is None or not marked.any():
        return None
    z = int(np.argmax(np.count_nonzero(marked, axis=(1, 2))))
    points = np.argwhere(marked[z])
    y, x = points[np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))]
    return _in_nifti(view.image.geometry, (z, int(y), int(x)))


def _in_nifti(geometry: Geometry, index: tuple[int, int, int]) -> list[float]:
    """World position toward right, front and head, which NIfTI counts, of a voxel."""
    z, y, x = (geometry.affine @ np.array([*index, 1.0]))[:3]
    return [round(float(-x), 3), round(float(-y), 3), round(float(z), 3)]
