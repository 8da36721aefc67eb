"""Pictures of slices: grey values, the activation map over them, and the agreement of two masks."""

import base64
from io import BytesIO

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image

from weakmask.volume.intensity import window

QUALITY = 82  # of WebP: CT noise is preserved at half the size of a JPEG
HEAT = mpl.colormaps["inferno"](np.linspace(0.15, 1.0, 256))[:, :3].astype(np.float32)
OPACITY = 0.8  # of the activation map at 1, so that the anatomy stays visible

# Colour-blind readers can distinguish blue and orange; the page's style sheet uses the same colours for the outlines.
PREDICTED_ONLY = (255, 159, 28, 92)
TRUTH_ONLY = (56, 189, 248, 92)
BOTH = (134, 239, 172, 60)
TINTS = np.array([(0, 0, 0, 0), PREDICTED_ONLY, TRUTH_ONLY, BOTH], dtype=np.uint8)

Pixels = tuple[int, int]


def grey_picture(
    values: Shaped[np.ndarray, "rows columns"], window_hu: tuple[float, float], size: Pixels
) -> UInt8[np.ndarray, "height width"]:
    """A slice in its grey window, interpolated to (width, height); NaN voxels are black."""
    grey = np.rint(255 * np.nan_to_num(window(values, *window_hu))).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))


def heat_picture(
    grey: UInt8[np.ndarray, "height width"], activation: Shaped[np.ndarray, "rows columns"]
) -> UInt8[np.ndarray, "height width 3"]:
    """An activation map in [0, 1] over a grey picture; strong activation is more opaque."""
    height, width = grey.shape
    clean = np.clip(np.nan_to_num(np.ascontiguousarray(activation, dtype=np.float32)), 0, 1)
    strength = np.asarray(Image.fromarray(clean).resize((width, height), Image.Resampling.BILINEAR))
    colour = HEAT[np.rint(255 * strength).astype(np.uint8)]
    # the square root makes a map of 0.1 visible
    opacity: Float[np.ndarray, "height width 1"] = OPACITY * np.sqrt(strength)[..., None]
    blended = (1 - opacity) * (grey[..., None] / np.float32(255)) + opacity * colour
    return np.rint(255 * blended).astype(np.uint8)


def agreement_picture(
    mask: Shaped[np.ndarray, "rows columns"], truth: Shaped[np.ndarray, "rows columns"]
) -> Image.Image:
    """Agreement of two masks: one transparent colour each for only predicted, only true, both; one pixel per voxel."""
    code = (mask != 0).astype(np.uint8) + 2 * (truth != 0).astype(np.uint8)
    picture = Image.fromarray(code, mode="P")
    picture.putpalette(TINTS.tobytes(), rawmode="RGBA")
    return picture


def heat_gradient() -> str:
    """The colours of the activation map from 0 to 1, for a CSS gradient."""
    stops = (np.rint(255 * HEAT[index]).astype(int).tolist() for index in np.linspace(0, 255, 9).astype(int))
    return ", ".join("rgb({} {} {})".format(*stop) for stop in stops)


def webp(picture: UInt8[np.ndarray, "height width *colour"]) -> str:
    """A picture as a WebP data URI."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=QUALITY, method=4)
    return data_uri(file.getvalue(), "image/webp")


def png(picture: Image.Image) -> str:
    """A picture as a PNG data URI."""
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return data_uri(file.getvalue(), "image/png")


def data_uri(content: bytes, kind: str) -> str:
    """Encode bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
