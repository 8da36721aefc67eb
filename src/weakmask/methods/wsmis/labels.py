"""The labels stage: maps -> labels of pixels, by a threshold and a dense CRF; unsure pixels are ignored."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.ndimage import binary_dilation
from torch import Tensor

from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.label_settings import LabelSettings
from weakmask.methods.wsmis.maps import learnt_and_evaluated, read_maps
from weakmask.methods.wsmis.picture_set import read_labels, read_pictures, write_picture
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.refinement import (
    CRF,
    PRESETS,
    labels_at_threshold,
    sharpest_region,
    sure_labels,
    times_shade,
    times_top_hat,
    weigh_colours,
)
from weakmask.refinement.shade import Shade

SHADES: dict[str, Shade] = {"dark": "dark", "bright": "bright", "dark spots": "dark", "bright spots": "bright"}
BAND = 6.7  # width of the bands on either side of an outline, in pixels of the reference side
CUT, REFINED, LABELS = "cut", "crf", "labels"  # folders: the map at the threshold, after the CRF, and to learn from


def labels(work: Work[WsmisSettings]) -> None:
    """Write cut/, crf/ and labels/FILE: 0 for background, then the classes; 255 in labels/ where the maps are unsure.

    A picture without a class is background everywhere.
    """
    settings = work.config.labels
    pictures = learnt_and_evaluated(read_pictures(work.stage("prepare")))
    for row in track(range(len(pictures)), "labels", len(pictures)):
        image = pictures.image(row)
        maps = shaded(read_maps(work, pictures, row), image, settings)
        found = labels_at_threshold(maps, settings.threshold)
        written = {CUT: found}
        if settings.crf:
            found = refined(maps, settings.threshold, image, settings)
            written[REFINED] = found
        if settings.low is not None:
            low = refined(maps, settings.low, image, settings)
            found = sure_labels(found, low)
        for folder, one in (*written.items(), (LABELS, found)):
            write_picture(work.out / folder / pictures.files[row], one.numpy().astype(np.uint8))


def shaded(
    maps: Float[Tensor, "1 class side side"], image: Float[Tensor, "1 colour side side"], settings: LabelSettings
) -> Float[Tensor, "1 class side side"]:
    """The maps, weighted by the configured shade and by the colours of the picture.

    With `region: sharpest`, 1 in the region of each class and 0 elsewhere.
    """
    located, scale = maps, image.shape[-1] / settings.reference_side
    sigma, radius = settings.shade_sigma * scale, settings.spot_radius * scale
    if settings.shade in {"dark", "bright"}:
        maps = times_shade(maps, image, SHADES[settings.shade], sigma)
    elif settings.shade != "any":
        maps = times_top_hat(maps, image, SHADES[settings.shade], sigma, radius)
    maps = weigh_colours(maps, image, settings.threshold, settings.colours)
    return maps if settings.region == "all" else _sharpest(located, maps, image, settings)


def regions_of(
    probabilities: Float[Tensor, "1 label side side"],
    image: Float[Tensor, "1 colour side side"],
    settings: LabelSettings,
) -> Float[Tensor, "1 class side side"]:
    """1 in the region of each class that a network finds, and 0 elsewhere.

    Args:
        probabilities: Of each pixel, background first; they sum to 1. A class that is 0 everywhere has no region.
        image: In [0, 255].
        settings: The shade.
    """
    maps = probabilities[:, 1:]
    tiny = torch.finfo(maps.dtype).tiny
    maps = maps / maps.amax((2, 3), keepdim=True).clamp_min(tiny)
    return shaded(maps, image, settings.model_copy(update={"region": "sharpest"}))


def _sharpest(
    located: Float[Tensor, "1 class side side"],
    maps: Float[Tensor, "1 class side side"],
    image: Float[Tensor, "1 colour side side"],
    settings: LabelSettings,
) -> Float[Tensor, "1 class side side"]:
    """1 in the region of each map, and 0 elsewhere; where two overlap, the one of the larger map.

    Args:
        located: The maps before their levels were weighted.
        maps: The maps whose levels are tried.
        image: In [0, 255].
        settings: The shade and the margin.
    """
    scale = image.shape[-1] / settings.reference_side
    sigma, band = settings.shade_sigma * scale, max(1, round(BAND * scale))
    regions, margin = torch.zeros_like(maps), round(settings.margin * scale)
    for place in torch.nonzero(maps[0].amax((1, 2)) > 0).ravel().tolist():
        this = slice(place, place + 1)
        region = sharpest_region(located[:, this], maps[:, this], image, SHADES[settings.shade], sigma, band).numpy()
        wide = binary_dilation(region, iterations=margin) if margin else region
        regions[0, place] = torch.from_numpy(wide).float()
    claims = regions * (maps + torch.finfo(maps.dtype).tiny)  # a margin reaches beyond its map
    return torch.where(claims == claims.amax(1, keepdim=True), regions, 0.0)


def refined(
    maps: Float[Tensor, "1 class side side"],
    threshold: float,
    image: Float[Tensor, "1 colour side side"],
    settings: LabelSettings,
) -> Int[Tensor, "1 side side"]:
    """Labels at a threshold, after the CRF if there is one; where it leaves no pixel of any class, those before it.

    Args:
        maps: In [0, 1].
        threshold: A map counts above it.
        image: In [0, 255].
        settings: The CRF.
    """
    cut = labels_at_threshold(maps, threshold)
    if not settings.crf:
        return cut
    found = labels_at_threshold(maps, threshold, image, crf_of(settings, image.shape[-1]), settings.confidence)
    return found if bool((found > 0).any()) else cut


def crf_of(settings: LabelSettings, side: int) -> CRF:
    """IRNet's CRF for pictures of a side, with the configured sigmas of space and colour."""
    space, intensity = settings.appearance_space, settings.appearance_intensity
    crf = replace(PRESETS["irnet"], appearance_mm=space, appearance_intensity=intensity)
    return crf.for_side(side, settings.reference_side)


def read_label_tensor(folder: Path, files: Sequence[str]) -> Int[Tensor, "file side side"]:
    """The labels of several pictures."""
    return torch.stack([torch.from_numpy(read_labels(folder / file)).long() for file in files])
