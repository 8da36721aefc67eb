"""Statistics of a result: volumes, lesions and grey values of each region, and of all together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np

from weakmask.prediction import Prediction
from weakmask.volume.volume import Volume

ALL = "all"  # the row of all regions together
LESION_NEIGHBOURS = 26  # voxels that touch at a corner are one lesion


@dataclass(frozen=True)
class _Counts:
    """Voxels of regions; each array has an entry for what lies in no region, and then one for each label.

    Attributes:
        size: Voxels.
        hits: Voxels of the mask.
        total: Sum of the grey values.
        lesion_total: Sum of the grey values in the mask.
    """

    size: np.ndarray
    hits: np.ndarray
    total: np.ndarray
    lesion_total: np.ndarray


def region_statistics(
    image: Volume, found: Prediction, names: Mapping[int, str], *, hounsfield: bool
) -> list[dict[str, Any]]:
    """A row for each region that has voxels, and one for all of them.

    A row has `region`, `region_ml`, `lesion_ml`, `fraction`, `score`, `lesions` (connected parts of the mask in the
    region), `largest_ml`, and of a CT `region_mean_hu` and `lesion_mean_hu`. The score of all regions is the sum
    of their scores. A number that does not exist is None.

    Args:
        image: Its grey values.
        found: The prediction; of a model without regions there is the one row of the whole image.
        names: Label -> name of the regions.
        hounsfield: Whether grey values are Hounsfield units.
    """
    mask = found.mask.voxels != 0
    voxel_ml = found.mask.geometry.voxel_volume_mm3 / 1000
    whole = found.regions is None
    regions = np.ones(mask.shape, np.uint8) if found.regions is None else found.regions.voxels
    labels = np.unique(regions)
    labels = labels[labels > 0]
    counts = _counted(image.voxels, mask, regions, labels)
    parts = _lesion_sizes(mask, regions, labels)
    scores = {value.name: value.score for value in found.values if value.scope == "region"}
    rows = []
    for place, label in enumerate(labels, 1):
        name = names.get(int(label), str(label))
        only = slice(place, place + 1)
        rows.append(_row(name, scores.get(name), counts, only, parts[place]))
    together = _lesion_sizes(mask, regions > 0, np.ones(1, np.uint8))[1]
    rows = [*([] if whole else rows), _row(ALL, found.severity, counts, slice(1, None), together)]
    return [_in_ml(row, voxel_ml, hounsfield=hounsfield) for row in rows]


def _counted(values: np.ndarray, mask: np.ndarray, regions: np.ndarray, labels: np.ndarray) -> _Counts:
    """One pass, slice by slice: a voxel of the region at place p counts under 2 p, one in the mask under 2 p + 1."""
    size, total = (np.zeros(2 * (len(labels) + 1)) for _ in range(2))
    for grey, inside, region in zip(values, mask, regions, strict=True):
        codes = (2 * _places(region, labels) + inside).ravel()
        size += np.bincount(codes, minlength=len(size))
        total += np.bincount(codes, weights=grey.ravel(), minlength=len(size))
    return _Counts(size[::2] + size[1::2], size[1::2], total[::2] + total[1::2], total[1::2])


def _places(regions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The place of each voxel's region among the labels, from 1; 0 outside."""
    return np.where(regions > 0, np.searchsorted(labels, regions) + 1, 0)


def _lesion_sizes(mask: np.ndarray, regions: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Voxels of each connected part of the mask, for each place of a region; a part in two regions is cut."""
    box = tuple(
        slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)
        for found in (np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    )
    places = np.where(mask[box], _places(regions[box], labels), 0).astype(np.uint32)
    if not places.any():
        return [np.zeros(0, np.int64) for _ in range(len(labels) + 1)]
    parts = np.asarray(cc3d.connected_components(places, connectivity=LESION_NEIGHBOURS))
    sizes = np.bincount(parts.ravel())
    place_of = np.zeros(len(sizes), np.int64)
    place_of[parts.ravel()] = places.ravel()
    return [sizes[1:][place_of[1:] == place] for place in range(len(labels) + 1)]


def _row(name: str, score: int | None, counts: _Counts, which: slice, lesions: np.ndarray) -> dict[str, Any]:
    """A row in voxels."""
    size, hits = counts.size[which].sum(), counts.hits[which].sum()
    return {
        "region": name,
        "region_ml": size,
        "lesion_ml": hits,
        "fraction": round(float(hits / size), 6) if size else None,
        "score": score,
        "lesions": len(lesions),
        "largest_ml": lesions.max(initial=0),
        "region_mean_hu": round(float(counts.total[which].sum() / size), 1) if size else None,
        "lesion_mean_hu": round(float(counts.lesion_total[which].sum() / hits), 1) if hits else None,
    }


def _in_ml(row: dict[str, Any], voxel_ml: float, *, hounsfield: bool) -> dict[str, Any]:
    """A row with volumes in ml, and with grey values only where these are Hounsfield units."""
    volumes = {name: round(float(row[name]) * voxel_ml, 3) for name in row if name.endswith("_ml")}
    return {name: volumes.get(name, value) for name, value in row.items() if hounsfield or not name.endswith("_hu")}
