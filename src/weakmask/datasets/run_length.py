"""Run-length masks of the SIIM-ACR pneumothorax challenge.

A mask is a line of numbers, `start length start length ...`, in pixels counted down the columns. Each start counts from
the end of the run before it. An image without a pneumothorax has one row, -1; one with several has a row for each.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Bool

from weakmask.errors import UserError, refuse_machine_fault

SIDE = 1024  # of the challenge's images
EMPTY = "-1"


def decode(runs: str, shape: tuple[int, int] = (SIDE, SIDE)) -> Bool[np.ndarray, "y x"]:
    """A mask from its text.

    Args:
        runs: See the top of this file; EMPTY or no text is an empty mask.
        shape: (height, width) of the image.

    Raises:
        ValueError: The text is not pairs of whole numbers, or a run leaves the image.
    """
    mask = np.zeros(shape[0] * shape[1], dtype=bool)
    if runs.strip() not in {"", EMPTY}:
        numbers = np.array(runs.split(), dtype=np.int64)
        if numbers.size % 2 or (numbers < 0).any():
            raise ValueError(f"{numbers.size} numbers, the least {numbers.min()}; expected pairs of start and length")
        ends = numbers.cumsum()[1::2]  # every number moves on: gap, run, gap, run
        if ends[-1] > mask.size:
            raise ValueError(f"the runs end at pixel {ends[-1]}; the image has {mask.size}")
        for first, last in zip((ends - numbers[1::2]).tolist(), ends.tolist(), strict=True):
            mask[first:last] = True
    return mask.reshape(shape[1], shape[0]).T


def encode(mask: Bool[np.ndarray, "y x"]) -> str:
    """The text of a mask; EMPTY for an empty one."""
    flat = mask.T.reshape(-1)
    inner = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first, last = ([0] if flat[0] else []), ([flat.size] if flat[-1] else [])
    changes = np.concatenate([first, inner, last]).astype(np.int64)
    if not changes.size:
        return EMPTY
    return " ".join(map(str, np.diff(changes, prepend=0).tolist()))


def united(rows: Iterable[str], shape: tuple[int, int] = (SIDE, SIDE)) -> Bool[np.ndarray, "y x"]:
    """The mask of all rows of one image.

    Raises:
        ValueError: As for `decode`.
    """
    mask = np.zeros(shape, dtype=bool)
    for runs in rows:
        if runs.strip() != EMPTY:
            mask |= decode(runs, shape)
    return mask


def read_run_lengths(path: Path) -> Mapping[str, list[str]]:
    """Image -> the texts of its masks, from the challenge's table (ImageId, EncodedPixels), .csv or .csv.gz.

    Raises:
        UserError: The table cannot be read or has other columns.
    """
    try:
        with path.open("rb") as stored, _unpacked(stored, path) as file:
            table = csv.reader(file, skipinitialspace=True)
            columns = [name.strip() for name in next(table, [])]
            if columns[:2] != ["ImageId", "EncodedPixels"]:
                found = ", ".join(columns) or "none"
                raise UserError(f"{path}: columns {found}; expected ImageId, EncodedPixels, the table of SIIM-ACR")
            rows: dict[str, list[str]] = {}
            for row in table:
                if len(row) >= 2:
                    rows.setdefault(row[0], []).append(row[1])
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error}); expected the table of SIIM-ACR") from error
    return rows


def _unpacked(stored: IO[bytes], path: Path) -> TextIOWrapper:
    """The text of an open table."""
    plain = gzip.GzipFile(fileobj=stored) if path.suffix == ".gz" else stored
    return TextIOWrapper(plain, encoding="utf-8-sig", newline="")
