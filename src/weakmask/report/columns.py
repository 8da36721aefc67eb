"""Columns of a table as plain numbers."""

import numpy as np
import pandas as pd
from jaxtyping import Float


def numbers(table: pd.DataFrame, name: str) -> Float[np.ndarray, " rows"]:
    """A column as numbers; NaN for values that are not numbers and for all rows if the column is missing."""
    if name not in table.columns:
        return np.full(len(table), np.nan)
    return np.asarray(pd.to_numeric(pd.Series(list(table[name]), dtype=object), errors="coerce"), dtype=float)


def is_numeric(table: pd.DataFrame, name: str) -> bool:
    """Whether a column holds numbers, missing ones allowed."""
    return pd.api.types.is_numeric_dtype(table[name])
