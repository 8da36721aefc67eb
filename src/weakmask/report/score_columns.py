"""Table of the severity scores of one scan: predicted and given score of each region."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from weakmask.report.columns import numbers
from weakmask.report.number_text import MINUS, percent


@dataclass(frozen=True)
class ScoreRow:
    """One region; texts are ready to print and empty for missing values.

    Attributes:
        region: Its name.
        fraction: Share affected.
        percent: The same for a bar, 0 to 100.
        predicted: Score from the mask.
        score_set: Scores that the region may have.
        given: Score from the reader.
        difference: Predicted minus given.
        off_by: Absolute difference, in whole scores.
    """

    region: str
    fraction: str
    percent: float
    predicted: str
    given: str
    difference: str
    off_by: int
    score_set: str = ""


@dataclass(frozen=True)
class ScoreTable:
    """Rows of all regions, their sum if all of them have scores, and the columns that hold values."""

    rows: tuple[ScoreRow, ...]
    total: ScoreRow | None
    has_fraction: bool
    has_predicted: bool
    has_given: bool
    has_set: bool

    @property
    def compared(self) -> bool:
        """Whether there are predicted and given scores."""
        return self.has_predicted and self.has_given


def score_table(scores: pd.DataFrame) -> ScoreTable:
    """Lay out the scores of one scan.

    Args:
        scores: One row per region: `region`, and any of `fraction` (in [0, 1]), `predicted`, `given` and
            `set` (text).
    """
    fraction, predicted, given = (numbers(scores, name) for name in ("fraction", "predicted", "given"))
    names = [str(name) for name in scores["region"]]
    sets = [str(value) for value in scores["set"].fillna("")] if "set" in scores else [""] * len(names)
    rows = tuple(_row(*values) for values in zip(names, fraction, predicted, given, sets, strict=True))
    # with a missing score the sum is NaN and left out, as a partial sum would be misleading
    total = _row("Sum", np.nan, float(predicted.sum()), float(given.sum()))
    has = [bool(np.isfinite(values).any()) for values in (fraction, predicted, given)]
    summed = total if len(rows) > 1 and (total.predicted or total.given) else None
    return ScoreTable(rows, summed, *has, has_set=any(sets))


def _row(region: str, fraction: float, predicted: float, given: float, score_set: str = "") -> ScoreRow:
    off = predicted - given
    sign = "+" if off > 0 else MINUS if off < 0 else ""
    return ScoreRow(
        region,
        fraction="" if np.isnan(fraction) else percent(fraction),
        percent=0.0 if np.isnan(fraction) else round(100 * float(np.clip(fraction, 0, 1)), 2),
        predicted="" if np.isnan(predicted) else f"{predicted:g}",
        given="" if np.isnan(given) else f"{given:g}",
        difference="" if np.isnan(off) else f"{sign}{abs(off):g}",
        off_by=0 if np.isnan(off) else round(abs(off)),
        score_set=score_set,
    )
