"""Training curves: mean losses and validation scores, one row per validation."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, stack

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import write_csv
from weakmask.errors import UserError


class Curves:
    """Collects the losses of each step into rows.

    The losses of a step are read one step late, during the computation of the next step: reading them at once would
    make a GPU wait for the CPU.

    Attributes:
        rows: Finished rows: `step` (steps done), mean losses since the previous row, validation scores.
        loss: The last total loss that was read.
    """

    def __init__(self) -> None:
        """Start without rows."""
        self.rows: list[dict[str, float]] = []
        self.loss = math.nan
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._pending: tuple[int, tuple[str, ...], Tensor] | None = None

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Add the losses (scalars) of a step and read those of the step before.

        Raises:
            UserError: The step before had a loss that is not finite.
        """
        pending = (step, tuple(losses), stack([loss.detach().float() for loss in losses.values()]))
        self.settle()
        self._pending = pending

    def settle(self) -> None:
        """Read the losses that have not been read yet.

        Raises:
            UserError: One of them is not finite.
        """
        if self._pending is None:
            return
        step, names, values = self._pending
        self._pending = None
        losses = dict(zip(names, values.tolist(), strict=True))
        if not all(math.isfinite(value) for value in losses.values()):
            listed = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
            raise UserError(
                f"training stopped at step {step}: a loss is not finite ({listed}); lower the learning rate, set "
                "clip_gradient or look for bad input; the last checkpoint is kept"
            )
        self.loss = losses["total"]
        self._steps += 1
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def close(self, step: int, learning_rate: float, scores: Mapping[str, float]) -> dict[str, float]:
        """Finish a row after `step` steps and return it."""
        self.settle()
        means = {name: value / self._steps for name, value in self._sums.items()}
        row = {"step": float(step), "learning_rate": learning_rate, **means, **{k: float(v) for k, v in scores.items()}}
        self.rows.append(row)
        self._sums, self._steps = {}, 0
        return row

    def state(self) -> dict[str, Any]:
        """The state as plain data for a checkpoint."""
        self.settle()
        return {"rows": self.rows, "sums": self._sums, "steps": self._steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a result of `state`."""
        self.rows = [dict(row) for row in state["rows"]]
        self._sums, self._steps = dict(state["sums"]), state["steps"]

    def table(self) -> pd.DataFrame:
        """The rows as a table with integer `step`."""
        return pd.DataFrame(self.rows).astype({"step": int}) if self.rows else pd.DataFrame({"step": []}, dtype=int)

    def write(self, path: Path) -> None:
        """Write the table as CSV with every digit, atomically."""
        with atomic_file(path) as temporary:
            write_csv(self.table(), temporary)
