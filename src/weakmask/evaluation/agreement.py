"""How well two readers, or a mask and a reader, agree on scores: linear weighted kappa with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

GRADES = ((0.20, "slight"), (0.40, "fair"), (0.60, "moderate"), (0.80, "good"))  # Xie et al. 2021, section IV-E


@dataclass(frozen=True)
class Agreement:
    """Kappa and its bootstrap interval.

    Attributes:
        kappa: Linear weighted kappa; nan where it is undefined.
        low: Lower end of the interval; nan for fewer than two groups, where no resample has a kappa, and where one
            reader gives a single score throughout: kappa is then 0 whatever is drawn, which is not certainty.
        high: Upper end.
        regions: Pairs of scores it rests on.
    """

    kappa: float
    low: float
    high: float
    regions: int

    @property
    def grade(self) -> str:
        """The verbal grade of kappa."""
        return verbal_grade(self.kappa)


def score_confusion(
    given: Sequence[int] | Integer[np.ndarray, " regions"],
    predicted: Sequence[int] | Integer[np.ndarray, " regions"],
    scores: Sequence[int],
) -> Integer[np.ndarray, "scores scores"]:
    """How often each given score (row) met each predicted score (column).

    Args:
        given: One reader's scores.
        predicted: The other's, for the same regions.
        scores: All scores there are, ascending (`ScoreMap.scores`).

    Raises:
        ValueError: The lengths differ or a score is not among `scores`.
    """
    rows, columns = _positions(given, scores), _positions(predicted, scores)
    if rows.size != columns.size:
        raise ValueError(f"{rows.size} given scores against {columns.size} predicted; expected pairs")
    cells = np.bincount(rows * len(scores) + columns, minlength=len(scores) ** 2)
    return cells.reshape(len(scores), len(scores))


def weighted_kappa(
    confusion: Integer[np.ndarray, "*batch scores scores"] | Float[np.ndarray, "*batch scores scores"],
    scores: Sequence[int] | None = None,
) -> Float[np.ndarray, "*batch"]:
    """Linear weighted kappa (Cohen 1968): 1 - sum(w O) / sum(w E), w = |i - j|.

    O is the table of observed pairs and E the one expected from its margins if the readers knew nothing of each other.
    1 is full agreement, 0 what chance gives, below 0 worse than chance.

    Args:
        confusion: One table or many, rows the one reader and columns the other.
        scores: Meaning of the rows, for scores that are not equally spaced; None takes 0, 1, 2, ...

    Returns:
        Kappa of each table; nan where both readers gave one and the same score throughout (chance alone would agree
        just as well, 0 / 0) and for an empty table.
    """
    observed = np.asarray(confusion, dtype=float)
    values = np.arange(observed.shape[-1]) if scores is None else np.asarray(scores)
    weights = np.abs(values[:, None] - values[None, :])
    total = observed.sum((-2, -1))
    margins = observed.sum(-1)[..., :, None] * observed.sum(-2)[..., None, :]  # E times the total
    disagreement = (weights * observed).sum((-2, -1)) * total
    by_chance = (weights * margins).sum((-2, -1))
    share = np.divide(disagreement, by_chance, out=np.full_like(total, np.nan), where=by_chance > 0)
    return np.asarray(1.0 - share)  # of one table: an array without axes


def kappa_interval(
    confusions: Integer[np.ndarray, "groups scores scores"],
    scores: Sequence[int] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the linear weighted kappa, drawing whole groups with replacement.

    The regions of one scan are alike, and so are the scans of one patient: drawing single regions would make the
    interval too narrow. A draw is a count per group, so that all resampled tables are one matrix product.

    Args:
        confusions: One table per patient (or scan).
        scores: As in `weighted_kappa`.
        resamples: Draws.
        level: Share of the draws' kappas inside the interval.
        seed: Of the draws.

    Returns:
        (low, high). Draws without a kappa are left out. Both are nan if no draw has one, and for fewer than two
        groups: every draw of a single group is that group, and an interval of one point would look like certainty.
    """
    groups, size = confusions.shape[0], confusions.shape[-1]
    if groups < 2:
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1.0 / groups), size=resamples)
    tables = draws.astype(float) @ confusions.reshape(groups, -1).astype(float)
    kappas = weighted_kappa(tables.reshape(resamples, size, size), scores)
    kappas = kappas[np.isfinite(kappas)]
    if kappas.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(kappas, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def agreement(
    given: Sequence[int] | Integer[np.ndarray, " regions"],
    predicted: Sequence[int] | Integer[np.ndarray, " regions"],
    groups: Sequence[Any],
    scores: Sequence[int],
    seed: int = 0,
) -> Agreement:
    """Kappa of given against predicted scores with its 95 % interval over 1000 resamples of the groups.

    Args:
        given: One reader's score of each region.
        predicted: The other's.
        groups: The patient of each region (or its scan): all regions of a group are drawn together.
        scores: All scores there are, ascending.
        seed: Of the draws.

    Raises:
        ValueError: Lengths differ or a score is not among `scores`.
    """
    rows, columns = _positions(given, scores), _positions(predicted, scores)
    if not rows.size == columns.size == len(groups):
        raise ValueError(f"{rows.size} given scores, {columns.size} predicted, {len(groups)} groups; expected as many")
    names, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    size = len(scores)
    cells = np.bincount((group * size + rows) * size + columns, minlength=len(names) * size**2)
    confusions = cells.reshape(len(names), size, size)
    kappa = float(weighted_kappa(confusions.sum(0), scores))
    constant = len(set(rows.tolist())) == 1 or len(set(columns.tolist())) == 1
    ends = (float("nan"), float("nan")) if constant else kappa_interval(confusions, scores, seed=seed)
    return Agreement(kappa, *ends, regions=rows.size)


def verbal_grade(kappa: float) -> str:
    """The word for a kappa: slight up to 0.20, fair to 0.40, moderate to 0.60, good to 0.80, then excellent.

    As printed in the paper to two digits (0.21-0.40 is fair): 0.204 rounds to 0.20 and is slight. Negative values are
    slight too; nan is "undefined".
    """
    if np.isnan(kappa):
        return "undefined"
    rounded = round(kappa, 2)
    return next((word for limit, word in GRADES if rounded <= limit), "excellent")


def _positions(values: Sequence[int] | np.ndarray, scores: Sequence[int]) -> np.ndarray:
    """Where each value stands among the scores."""
    known, asked = np.asarray(scores, dtype=int), np.asarray(values)
    foreign = asked[~np.isin(asked, known)]
    if foreign.size:
        raise ValueError(f"score {foreign[0]} is not one of {known.tolist()}")
    return np.searchsorted(known, asked)
