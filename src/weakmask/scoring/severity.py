"""Severity: which lesion fraction a radiologist's score means, and which score a mask gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError
from weakmask.outgoing_text import cut
from weakmask.volume.storage_order import in_order_of
from weakmask.volume.volume import Volume
from weakmask.yaml_text import read_yaml_file

SEVERITY_COLUMNS = ("region", "label", "volume_ml", "lesion_ml", "fraction", "score")
HIGHEST_SCORE = 1000
WIDEST_GAP = 0.01  # tables are printed in whole percents: "1-5 %, 6-25 %" leaves one percent point between neighbours

FORMAT = """\
# The score map of this cohort: the share of a region, in percent of its volume, that each score stands for.
# A share on the border of two scores, or in a small gap between them, is resolved by `ScoreMap.score_of`.
"""


@dataclass(frozen=True)
class ScoreMap:
    """A score map: the interval of the lesion fraction that each score means.

    Attributes:
        name: Name of the score.
        intervals: Score -> (low, high), lesion fractions of the region in [0, 1]. Ascending with the score, from 0 to
            1, without overlap, and without gaps wider than one percent point.

    Raises:
        ValueError: The intervals are not like that; the message says where.
    """

    name: str
    intervals: Mapping[int, tuple[float, float]]

    def __post_init__(self) -> None:
        """Sort the intervals by score and check them."""
        if not self.intervals:
            raise ValueError(f"score map {self.name!r} has no scores")
        ordered = {int(score): (float(low), float(high)) for score, (low, high) in sorted(self.intervals.items())}
        object.__setattr__(self, "intervals", ordered)
        if min(ordered) < 0:
            raise ValueError(f"score {min(ordered)} is negative; expected 0 or more")
        reached = 0.0
        for score, (low, high) in ordered.items():
            if not 0.0 <= low <= high <= 1.0:
                raise ValueError(f"score {score} means {low:.6g} to {high:.6g}; expected 0 <= low <= high <= 1")
            if low < reached or (low == high == reached and reached > 0.0):
                raise ValueError(f"score {score} begins at {low:.6g}, before the score below it ends ({reached:.6g})")
            if low - reached > WIDEST_GAP + 1e-9:
                raise ValueError(f"no score means a fraction between {reached:.6g} and {low:.6g} (below score {score})")
            reached = high
        if reached < 1.0 or min(low for low, _ in ordered.values()) > 0.0:
            raise ValueError(f"score map {self.name!r} does not reach from 0 to 1")

    @property
    def scores(self) -> tuple[int, ...]:
        """All scores, ascending."""
        return tuple(self.intervals)

    def interval(self, score: int) -> tuple[float, float]:
        """The lesion fractions (low, high) that a score means.

        Raises:
            ValueError: No such score in the map.
        """
        if score not in self.intervals:
            raise ValueError(f"score {score} is not in score map {self.name!r}; it has {list(self.scores)}")
        return self.intervals[score]

    def healthy(self, score: int) -> bool:
        """Whether a score rules lesions out: its interval ends at 0.

        The number of the score says nothing: a map may begin at 1, or its lowest score may mean up to 5 %.

        Raises:
            ValueError: No such score in the map.
        """
        return self.interval(score)[1] == 0.0

    def score_of(self, fraction: float) -> int:
        """The score of a lesion fraction; every fraction in [0, 1] gets exactly one.

        A border belongs to the higher score (with Table I b, 0.05 is a 2), and a gap to the score below it (0.3 % of
        a lobe is a 0). Where a score means one point only (0: exactly 0 %), that point is its own even if the next
        interval begins there.

        Raises:
            ValueError: The fraction is not in [0, 1] (nan included: a region without voxels has no score).
        """
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"lesion fraction is {fraction}; expected a number in [0, 1]")
        score = self.scores[0]
        for candidate, (low, high) in self.intervals.items():
            if low == high == fraction:
                return candidate
            if low <= fraction:
                score = candidate
        return score

    def with_zero_up_to(self, fraction: float = 0.01) -> "ScoreMap":
        """The same map with the lowest score meaning [0, fraction], as the authors' code has it for dRAM (1 %)."""
        lowest = self.scores[0]
        return ScoreMap(f"{self.name}, {lowest} up to {fraction:.3g}", {**self.intervals, lowest: (0.0, fraction)})


CT_SEVERITY = ScoreMap(
    "CT severity score per lobe (Xie et al. 2021, Table I b)",
    {0: (0.0, 0.0), 1: (0.01, 0.05), 2: (0.05, 0.25), 3: (0.25, 0.5), 4: (0.5, 0.75), 5: (0.75, 1.0)},
)


def read_score_map(path: Path) -> ScoreMap:
    """Read a score map from YAML.

    The file has two keys: `name`, free text, and `percent`, which maps each score to `[low, high]` in percent::

        name: CT severity score per lobe
        percent:
          0: [0, 0]
          1: [1, 5]
          2: [5, 25]
          3: [25, 50]
          4: [50, 75]
          5: [75, 100]

    Raises:
        UserError: The file cannot be read, is not like that, or the intervals do not make a score map.
    """
    content = read_yaml_file(path)
    try:
        return _score_map(content, path.stem)
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct the intervals (percent of the region, ascending)") from error


def write_score_map(score_map: ScoreMap, path: Path) -> None:
    """Write a score map as `read_score_map` reads it; the intervals come back to 12 digits.

    Raises:
        MachineError: The folder cannot be written.
    """
    lines = [FORMAT, yaml.safe_dump({"name": score_map.name}, allow_unicode=True, width=1000), "percent:\n"]
    for score, (low, high) in score_map.intervals.items():
        lines.append(f"  {score}: [{100 * low:.12g}, {100 * high:.12g}]\n")
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def region_fractions(mask: np.ndarray, regions: np.ndarray, labels: Sequence[int]) -> dict[int, float]:
    """The share of each region that the mask covers.

    One pass, slice by slice: a voxel of label r counts under 2 r, one that is also in the mask under 2 r + 1.

    Args:
        mask: Lesion mask, any shape; not zero is lesion.
        regions: Integer region labels of the same shape.
        labels: Labels to measure, not negative.

    Returns:
        Label -> fraction in [0, 1]; nan for a label without voxels.

    Raises:
        ValueError: Shapes differ, labels are negative, or the regions are not integers.
    """
    return {label: hits / size if size else float("nan") for label, (size, hits) in _counts(mask, regions, labels)}


def severity_table(mask: Volume, regions: Volume, names: Mapping[int, str], score_map: ScoreMap) -> pd.DataFrame:
    """Lesion volume, fraction and score of every region of one scan.

    Args:
        mask: Lesions; not zero is lesion.
        regions: Integer region labels of the same voxels, in any order.
        names: Label -> name of the regions to measure, in the order of the rows.
        score_map: Meaning of the scores.

    Returns:
        One row per region with `SEVERITY_COLUMNS`, volumes in ml. A region without voxels has fraction nan and no
        score (<NA>). The scan's total score is `table["score"].sum()`, which leaves such regions out.

    Raises:
        ValueError: The grids differ, or as in `region_fractions`.
    """
    mask = in_order_of(mask, regions.geometry)
    voxel_ml = regions.geometry.voxel_volume_mm3 / 1000
    rows = []
    for label, (size, hits) in _counts(mask.voxels, regions.voxels, list(names)):
        fraction = hits / size if size else float("nan")
        score = score_map.score_of(fraction) if size else pd.NA
        rows.append((names[label], label, size * voxel_ml, hits * voxel_ml, fraction, score))
    return pd.DataFrame(rows, columns=list(SEVERITY_COLUMNS)).astype({"score": "Int64"})


def _counts(mask: np.ndarray, regions: np.ndarray, labels: Sequence[int]) -> list[tuple[int, tuple[int, int]]]:
    """(label, (voxels, lesion voxels)) of each region."""
    if mask.shape != regions.shape:
        raise ValueError(f"the mask has shape {mask.shape}, the regions {regions.shape}; expected one grid")
    if not np.issubdtype(regions.dtype, np.integer) or min(labels, default=0) < 0:
        raise ValueError(f"regions are {regions.dtype} with labels {list(labels)}; expected integers from 0 up")
    other = max(labels, default=0) + 1  # labels that are not measured, however large or negative
    counts = np.zeros(2 * (other + 1), dtype=np.int64)
    for mask_slice, region_slice in zip(np.atleast_1d(mask), np.atleast_1d(regions), strict=True):
        wide = region_slice.astype(np.int64)
        wide[(wide < 0) | (wide > other)] = other
        counts += np.bincount((2 * wide + (mask_slice != 0)).ravel(), minlength=counts.size)
    return [(label, (int(counts[2 * label : 2 * label + 2].sum()), int(counts[2 * label + 1]))) for label in labels]


def _score_map(content: Any, name: str) -> ScoreMap:
    """A score map from parsed YAML; raises ValueError for faults."""
    percent = content.get("percent") if isinstance(content, dict) else None
    if type(percent) is not dict:
        raise ValueError("it has no key `percent` that maps each score to [low, high]")
    unknown = sorted(str(key) for key in content if key not in {"name", "percent"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; expected `name` and `percent`")
    intervals = {}
    for score, pair in percent.items():
        numbers = isinstance(pair, list) and all(type(value) in {int, float} for value in pair)
        within = numbers and len(pair) == 2 and all(0 <= value <= 100 for value in pair)
        if type(score) is not int or abs(score) > HIGHEST_SCORE or not within:
            came = f"score {cut(repr(score))} is given as {cut(repr(pair))}"
            raise ValueError(f"{came}; expected a whole number and [low, high] from 0 to 100")
        intervals[score] = (pair[0] / 100, pair[1] / 100)
    return ScoreMap(str(content.get("name", name)), intervals)
