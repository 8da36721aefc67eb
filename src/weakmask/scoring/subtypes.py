"""Subtypes of lesions (ground-glass, consolidation, mixed) by comparison with reference lesions.

Xie, Jacobs, Charbonnier, van Ginneken 2021 (arXiv 2105.11748), section III-A-6. Each connected component of a mask is
described by its volume and by the mean and standard deviation of its Hounsfield units. Of the reference components, the
K nearest in volume are candidates ("due to the impact of the component size in computing the statistics"); of these,
the N whose Gaussians diverge least from the component's vote, weighted by their ranks.

The paper leaves the following open (O). Components are connected across corners too (26 neighbours). Volumes are
compared in millilitres, independent of the spacing. The component is the first distribution of the divergence, the
reference the second. The i-th of N voters has the weight N + 1 - i. A tie goes to the subtype with the nearest voter. A
standard deviation is at least `LEAST_SD_HU`, because that of a component of one voxel is 0.
"""

import cc3d
import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Integer, Num, Shaped

from weakmask.volume.storage_order import in_order_of, upright
from weakmask.volume.volume import Volume

SUBTYPES = {"ground-glass": 1, "consolidation": 2, "mixed": 3}
COMPONENT_COLUMNS = ("component", "label", "voxels", "volume_ml", "mean_hu", "sd_hu")
SHORTLIST, VOTERS = 10, 5  # K and N of the paper
LEAST_SD_HU = 10.0  # about the noise of a low-dose scan; equation (6) divides by it


def label_subtypes(
    image: Volume, lesions: Volume, reference: pd.DataFrame, shortlist: int = SHORTLIST, voters: int = VOTERS
) -> Volume:
    """Label every component of a lesion mask with its subtype.

    Args:
        image: In Hounsfield units.
        lesions: The mask on the same grid; not zero is lesion.
        reference: Table of `reference_components` or `read_reference`.
        shortlist: K, the number of candidate reference components.
        voters: N, the number of candidates that vote.

    Returns:
        0 none, 1 ground-glass, 2 consolidation, 3 mixed (uint8), on the mask's grid.

    Raises:
        ValueError: The grids differ, the reference is empty, or not 1 <= voters <= shortlist.
    """
    marked = upright(lesions.with_voxels(lesions.voxels != 0))
    numbers, table = lesion_components(upright(image), marked)
    names = np.zeros(len(table) + 1, dtype=np.uint8)
    names[1:] = vote(table, reference, shortlist, voters)
    return in_order_of(marked.with_voxels(names[numbers], kind="label"), lesions.geometry)


def subtype_volumes(subtypes: Volume, regions: Volume) -> dict[int, dict[str, float]]:
    """Millilitres of each subtype in every region.

    Args:
        subtypes: Result of `label_subtypes`.
        regions: Region labels on the same grid.

    Returns:
        By region label: `ground-glass_ml`, `consolidation_ml` and `mixed_ml`.
    """
    most = len(SUBTYPES) + 1
    pairs = regions.voxels.astype(np.int64) * most + subtypes.voxels
    counts = np.bincount(pairs.ravel(), minlength=most * (int(regions.voxels.max(initial=0)) + 1)).reshape(-1, most)
    ml = counts * subtypes.geometry.voxel_volume_mm3 / 1000
    present = (int(label) for label in np.flatnonzero(counts.sum(axis=1)) if label > 0)
    return {label: {f"{name}_ml": float(ml[label, k].round(3)) for name, k in SUBTYPES.items()} for label in present}


def lesion_components(image: Volume, lesions: Volume) -> tuple[Integer[np.ndarray, "z y x"], pd.DataFrame]:
    """Label the connected components of lesions and compute their statistics.

    Args:
        image: In Hounsfield units.
        lesions: Integer labels of the same voxels; touching voxels of different labels are different components.

    Returns:
        The components' numbers from 1 up, 0 outside, on the image's grid, and a table with `COMPONENT_COLUMNS` in their
        order: number, label in `lesions`, voxels, volume in ml, mean and (population) standard deviation in HU; 0 for a
        single voxel.

    Raises:
        ValueError: The grids differ.
    """
    lesions = in_order_of(lesions, image.geometry)
    numbers, count = cc3d.connected_components(lesions.voxels, connectivity=26, return_N=True)
    where = np.flatnonzero(numbers)
    number = numbers.ravel()[where].astype(np.int64)
    hu = image.voxels.ravel()[where].astype(np.float64)
    voxels = np.bincount(number, minlength=count + 1)
    mean = np.bincount(number, hu, count + 1) / np.maximum(voxels, 1)
    variance = np.bincount(number, (hu - mean[number]) ** 2, count + 1) / np.maximum(voxels, 1)
    label = np.zeros(count + 1, dtype=np.int64)
    label[number] = lesions.voxels.ravel()[where]
    volume_ml = voxels * lesions.geometry.voxel_volume_mm3 / 1000
    columns = (np.arange(count + 1), label, voxels, volume_ml, mean, np.sqrt(variance))
    table = pd.DataFrame({name: values[1:] for name, values in zip(COMPONENT_COLUMNS, columns, strict=True)})
    return numbers, table


def divergence(
    mean_1: Num[np.ndarray, "*shape"],
    sd_1: Num[np.ndarray, "*shape"],
    mean_2: Num[np.ndarray, "*shape"],
    sd_2: Num[np.ndarray, "*shape"],
) -> Float[np.ndarray, "*shape"]:
    """Equation (6): Kullback-Leibler divergence of N(mean_1, sd_1) from N(mean_2, sd_2), in nats.

    log(s2 / s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2, which is 0 for equal distributions and not symmetric. The
    paper's text below (6) names the distributions the other way round than its formula does; the formula is followed.

    Args:
        mean_1: m1.
        sd_1: s1, above 0.
        mean_2: m2.
        sd_2: s2, above 0.
    """
    return np.log(sd_2 / sd_1) + (sd_1**2 + (mean_1 - mean_2) ** 2) / (2 * sd_2**2) - 0.5  # (6)


def vote(
    components: pd.DataFrame, reference: pd.DataFrame, shortlist: int = SHORTLIST, voters: int = VOTERS
) -> Int[np.ndarray, " component"]:
    """The subtype of each component, 1 to 3, by a vote of its nearest components in the reference.

    Args:
        components: With columns volume_ml, mean_hu and sd_hu.
        reference: The same, and `subtype` by name.
        shortlist: K, at most the size of the reference.
        voters: N, at most the size of the reference.

    Raises:
        ValueError: The reference is empty, or not 1 <= voters <= shortlist.
    """
    if reference.empty or not 1 <= voters <= shortlist:
        raise ValueError(
            f"{len(reference)} reference components, {voters} voters of {shortlist}; expected 1 <= voters <= shortlist"
        )
    reference = reference.sort_values("volume_ml", kind="stable")
    subtype = np.array([SUBTYPES[name] for name in reference["subtype"]])
    shortlist, voters = min(shortlist, len(reference)), min(voters, len(reference))
    near = _nearest(components["volume_ml"].to_numpy(float), reference["volume_ml"].to_numpy(float), shortlist)
    mean, sd = (reference[name].to_numpy(float)[near] for name in ("mean_hu", "sd_hu"))
    own_mean, own_sd = (components[name].to_numpy(float)[:, None] + 0 * mean for name in ("mean_hu", "sd_hu"))
    far = divergence(own_mean, np.maximum(own_sd, LEAST_SD_HU), mean, np.maximum(sd, LEAST_SD_HU))
    first = np.argsort(far, axis=1, kind="stable")[:, :voters]
    chosen = subtype[np.take_along_axis(near, first, axis=1)]
    # ranks as weights; the fractions are below one rank and decide a tie for the side with the nearest voter
    weight = np.arange(voters, 0, -1) + 0.5 ** np.arange(1, voters + 1)
    ballots = np.stack([(weight * (chosen == number)).sum(axis=1) for number in SUBTYPES.values()], axis=1)
    return np.array(list(SUBTYPES.values()))[ballots.argmax(axis=1)]


def _nearest(
    volumes: Shaped[np.ndarray, " component"], sorted_volumes: Shaped[np.ndarray, " reference"], count: int
) -> Int[np.ndarray, "component shortlist"]:
    """The `count` indices with the nearest volumes, searched among the 2 `count` around the insertion point."""
    place = np.searchsorted(sorted_volumes, volumes)
    start = np.clip(place - count, 0, max(len(sorted_volumes) - 2 * count, 0))
    around = start[:, None] + np.arange(min(2 * count, len(sorted_volumes)))
    apart = np.abs(sorted_volumes[around] - volumes[:, None])
    return np.take_along_axis(around, np.argsort(apart, axis=1, kind="stable")[:, :count], axis=1)
