"""Table of methods: formatted numbers, the best of each column marked, kappa with its interval."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool

from weakmask.report.columns import is_numeric, numbers
from weakmask.report.number_text import decimals, number

TITLES = {
    "method": "Method",
    "scans": "Scans",
    "iou_mean": "IoU, mean",
    "iou_pooled": "IoU, pooled",
    "dice_mean": "Dice, mean",
    "ppv": "PPV",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "kappa": "Kappa (95 %)",
}
HIGHER_IS_BETTER = tuple(TITLES)[2:]
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Cell:
    """One number or word.

    Attributes:
        text: Ready to print.
        number: Whether it is a number, aligned to the right.
        best: Whether it is the best of its column.
        interval: (low, estimate, high) in per cent of [0, 1], for a drawn interval.
    """

    text: str
    number: bool = True
    best: bool = False
    interval: Interval | None = None


@dataclass(frozen=True)
class SummaryTable:
    """Heads and rows; `any_best` is true if any cell is marked as best."""

    heads: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    any_best: bool


def summary_table(table: pd.DataFrame) -> SummaryTable:
    """Lay out the table of methods.

    The columns of summary.csv get their titles, `kappa_low` and `kappa_high` become kappa's interval, other columns
    stay unchanged. The best of a column is marked if at least two rows have a number; equal values are all marked.
    Neither a 0 nor a method that marks nothing is ever the best: an empty mask has no false voxel.
    """
    names = [str(name) for name in table.columns]
    if "kappa" in names:
        names = [name for name in names if name not in {"kappa_low", "kappa_high"}]
    heads = tuple(Cell(TITLES.get(name, name.replace("_", " ")), is_numeric(table, name)) for name in names)
    idle = _marks_nothing(table)
    columns = [_column(table, name, idle) for name in names]
    rows = tuple(zip(*columns, strict=True))
    return SummaryTable(heads, rows, any(cell.best for row in rows for cell in row))


def _marks_nothing(table: pd.DataFrame) -> Bool[np.ndarray, " rows"]:
    """Whether a method finds no true voxel and marks no false one."""
    return (numbers(table, "sensitivity") == 0) & (numbers(table, "specificity") == 1)


def _column(table: pd.DataFrame, name: str, idle: Bool[np.ndarray, " rows"]) -> list[Cell]:
    """One column's cells; those of idle methods are never the best."""
    if not is_numeric(table, name):
        return [Cell(number(value), number=False) for value in table[name]]
    values = numbers(table, name)
    best = _best(values, idle) if name in HIGHER_IS_BETTER else np.nan
    if name == "kappa":
        ends = zip(numbers(table, "kappa_low"), values, numbers(table, "kappa_high"), strict=True)
        marked = (values == best) & ~idle
        return [_kappa(interval, best=bool(first)) for interval, first in zip(ends, marked, strict=True)]
    if name in HIGHER_IS_BETTER:  # equal numbers of decimals: 0.550, not 0.55
        texts = [number(None) if np.isnan(value) else decimals(value, 3) for value in values]
        return [Cell(text, best=bool(first)) for text, first in zip(texts, (values == best) & ~idle, strict=True)]
    return [Cell(number(value)) for value in values]


def _kappa(interval: Interval, *, best: bool) -> Cell:
    """Cell of kappa with its interval as text and as a drawn line."""
    low, kappa, high = interval
    if np.isnan(kappa):
        return Cell(number(None))
    if np.isnan(low) or np.isnan(high):
        return Cell(decimals(kappa, 2), best=best)
    left, middle, right = (round(100 * float(np.clip(value, 0, 1)), 1) for value in interval)
    text = f"{decimals(kappa, 2)} ({decimals(low, 2)} to {decimals(high, 2)})"
    return Cell(text, best=best, interval=(left, middle, right))


def _best(values: np.ndarray, idle: np.ndarray) -> float:
    measured = np.isfinite(values)
    able = values[measured & ~idle & (values > 0)]
    return float(able.max()) if measured.sum() > 1 and len(able) else np.nan
