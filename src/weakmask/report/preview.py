"""A picture of a result: one slice of each plane with the mask over it."""

from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from weakmask.report.figures import PREDICTED_ONLY, QUALITY, grey_picture
from weakmask.report.planes import Plane, cut
from weakmask.report.scan_view import ScanView, Scene, set_scene
from weakmask.report.slices import choose_slices, marked_box, with_margin
from weakmask.volume.geometry import Box

HEIGHT = 360  # pixels
GAP = 6
EDGE_OPACITY = 1.0  # of the mask's outline; inside it is that of the report


def preview_pixels(view: ScanView, height: int = HEIGHT) -> UInt8[np.ndarray, "height width 3"]:
    """The slices with the largest lesion area, side by side, with the mask tinted and outlined.

    Args:
        view: The image and its mask.
        height: Of the picture, in pixels.
    """
    scene = set_scene(view)
    marked = marked_box(scene)
    box = with_margin(marked, scene) if marked else Box((0, 0, 0), scene.frame.shape)
    index = choose_slices(scene).index
    gap = np.zeros((height, GAP, 3), np.uint8)
    pictures: list[np.ndarray] = []
    for plane in scene.frame.planes:
        pictures += [gap] if pictures else []
        pictures.append(_plane_picture(view, scene, plane, (index[plane.across], box), height))
    return np.concatenate(pictures, axis=1)


def preview(view: ScanView, height: int = HEIGHT) -> bytes:
    """`preview_pixels` as a WebP file."""
    file = BytesIO()
    Image.fromarray(preview_pixels(view, height)).save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue()


def _plane_picture(
    view: ScanView, scene: Scene, plane: Plane, place: tuple[int, Box], height: int
) -> UInt8[np.ndarray, "height width 3"]:
    """One slice; all planes have one height and keep their proportions."""
    at, box = place
    spacing = scene.frame.spacing_mm
    tall, wide = box.shape[plane.rows] * spacing[plane.rows], box.shape[plane.columns] * spacing[plane.columns]
    size = (max(1, min(round(height * wide / tall), 4 * height)), height)
    grey = grey_picture(np.ascontiguousarray(cut(scene.image, plane, at, box)), view.window_hu, size)
    picture = np.repeat(grey[..., None], 3, axis=2)
    if scene.mask is None:
        return picture
    marked = np.ascontiguousarray(cut(scene.mask, plane, at, box)) != 0
    inside = np.asarray(Image.fromarray(marked.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)) > 0
    shifted = np.pad(inside, 1, mode="edge")
    core = shifted[:-2, 1:-1] & shifted[2:, 1:-1] & shifted[1:-1, :-2] & shifted[1:-1, 2:]
    opacity = np.where(inside & ~core, EDGE_OPACITY, np.where(inside, PREDICTED_ONLY[3] / 255, 0.0))[..., None]
    blended = (1 - opacity) * picture + opacity * np.array(PREDICTED_ONLY[:3], dtype=float)
    return np.rint(blended).astype(np.uint8)
