"""Training curves: one small panel per quantity, training and validation in the same panel."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from weakmask.report.columns import is_numeric, numbers
from weakmask.report.figures import data_uri

STEPS = ("step", "epoch", "iteration")
CLOCKS = {"epoch", "seconds", "time", "iteration"}
NAMES = ("quantity", "name", "metric", "term", "loss")
TRAINING, VALIDATION = "training", "validation"
SPLIT_WORDS = {
    "train": TRAINING,
    "training": TRAINING,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
}
COLOURS = {TRAINING: "#64748b", VALIDATION: "#d97706", "": "#0f5e8c"}
OTHERS = ("#0f5e8c", "#7c3aed", "#0d9488", "#be185d")
INK, GRID = "#475569", "#e2e8f0"
MOST_POINTS = 600  # longer lines are thinned to this number, which keeps the picture small
SMOOTHED_FROM = 60  # lines of at least this many points get a running mean
COLUMNS = 3
Line = tuple[np.ndarray, np.ndarray]
Curves = Mapping[str, Mapping[str, Line]]


def gather_curves(table: pd.DataFrame) -> dict[str, dict[str, Line]]:
    """Sort a table of training curves into panels: quantity -> line's name -> (steps, values).

    Wide tables have a column per quantity, long ones the columns `name` (or quantity, metric, term) and `value`. A
    column `split`, or a `train_` or `validation_` in a column's name, separates the lines; other columns of words (a
    stage) separate the panels. Missing values are left out, so validation may have its own steps.
    """
    step = next((name for name in STEPS if name in table.columns), "step")
    if step not in table.columns:
        table = table.assign(step=np.arange(len(table)))
    words = [str(name) for name in table.columns if name != step and not is_numeric(table, name)]
    quantities = [str(name) for name in table.columns if name not in {step, *words} | CLOCKS]
    panels: dict[str, dict[str, Line]] = {}
    groups = table.groupby(words, sort=False, dropna=False) if words else [((), table)]
    for names, rows in groups:
        labels = dict(zip(words, map(str, names), strict=True))  # pyright: ignore[reportArgumentType]  a tuple
        kind = labels.pop("split", "")
        named = next((labels.pop(name) for name in NAMES if name in labels and "value" in quantities), "value")
        for column in quantities:
            quantity, split = _split_of(named if column == "value" else column)
            steps, values = numbers(rows, step), numbers(rows, column)
            known = np.isfinite(values) & np.isfinite(steps)
            if known.any():
                lines = panels.setdefault(", ".join([*labels.values(), quantity]), {})
                lines[SPLIT_WORDS.get(kind, kind) or split] = steps[known], values[known]
    return panels


def draw_curves(panels: Curves) -> str:
    """Draw the panels as one SVG picture, returned as a data URI; each panel has its own axis."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    settings: dict[Any, Any] = {"svg.hashsalt": "weakmask", "font.size": 8.5, "axes.edgecolor": GRID, "text.color": INK}
    with mpl.rc_context(settings):
        layout = ConstrainedLayoutEngine(wspace=0.06, hspace=0.09)
        figure = Figure(figsize=(3.5 * columns, 2.15 * rows), layout=layout)
        grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for axes, (quantity, lines) in zip(grid, panels.items(), strict=False):
            _draw_panel(axes, quantity, lines)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return data_uri(file.getvalue().encode(), "image/svg+xml")


def _draw_panel(axes: Axes, quantity: str, lines: Mapping[str, Line]) -> None:
    spare = iter(OTHERS * 8)
    for split, (steps, values) in lines.items():
        colour = COLOURS.get(split) or next(spare)
        long = len(values) >= SMOOTHED_FROM
        axes.plot(*_thinned(steps, values), color=colour, alpha=0.3 if long else 1, linewidth=0.8 if long else 1.4)
        if long:
            axes.plot(*_thinned(steps, _running_mean(values)), color=colour, linewidth=1.5)
        axes.plot(steps[-1:], values[-1:] if not long else _running_mean(values)[-1:], "o", color=colour, markersize=3)
    every = np.concatenate([values for _, values in lines.values()])
    if every.min() > 0 and every.max() > 50 * every.min():
        axes.set_yscale("log")
    axes.set_title(quantity.replace("_", " "), loc="left", fontsize=9.5, color="#0f172a")
    last = "   ".join(f"{split or 'last'} {values[-1]:.3g}" for split, (_, values) in lines.items())
    axes.set_title(last, loc="right", fontsize=7.5, color=INK)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelcolor=INK, labelsize=7.5)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _split_of(column: str) -> tuple[str, str]:
    """Split a column's name into (quantity, split): `val_loss`, `loss/train` and `train.loss` are all a loss."""
    for mark in "/._":
        first, _, rest = column.partition(mark)
        if rest and first in SPLIT_WORDS:
            return rest, SPLIT_WORDS[first]
        rest, _, last = column.rpartition(mark)
        if rest and last in SPLIT_WORDS:
            return rest, SPLIT_WORDS[last]
    return column, ""


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over a window of a twentieth of the line, shrinking at its ends."""
    half = max(1, len(values) // 40)
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def _thinned(steps: np.ndarray, values: np.ndarray) -> Line:
    keep = (
        np.unique(np.linspace(0, len(steps) - 1, MOST_POINTS).astype(int)) if len(steps) > MOST_POINTS else slice(None)
    )
    return steps[keep], values[keep]
