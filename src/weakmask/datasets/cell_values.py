"""Meaning of a cell of a label table: a number, yes or no, nothing, or a name."""

import re
import unicodedata

MISSING = frozenset(
    (
        *("", "na", "n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil", "missing"),
        *("-", "--", "---", "\u2013", "\u2014", ".", "?", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
        *("#nv", "#n/d", "#n/b"),  # #N/A of a German, a Spanish or Italian, and a Dutch Excel
    )
)
YES = frozenset(("1", "true", "t", "yes", "y", "x", "checked", "wahr", "ja", "vrai", "oui"))
NO = frozenset(("0", "false", "f", "no", "n", "unchecked", "falsch", "nein", "faux", "non"))

_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,15})?")
_CHOICE = re.compile(r"(\d{1,9})\s*(?:[,:=(]|\s[-\u2013]\s)\s*[^\W\d][^\d]*")  # `1, Mild`, as REDCap codes its choices
_WITH_DECIMAL = re.compile(r"(\d+)[.,]0")  # not 1,000
_NAME = re.compile(r"X?(\d{1,9})(?:[.,]0+)?")  # R puts an X before a column that is called by a number


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value: it is empty, or says NA, nan, #N/A, - and the like."""
    return cell.lower() in MISSING


def number_in(cell: str) -> float | None:
    """The number of a cell: `4`, `4.0`, `4,0`, or `4, Severe` (the code of a choice); None if it holds no number."""
    if _NUMBER.fullmatch(cell):
        return float(cell.replace(",", "."))
    coded = _CHOICE.fullmatch(cell)
    return float(coded[1]) if coded else None


def truth_in(cell: str) -> bool | None:
    """Whether a cell says yes (1, true, yes) or no (0, false, no); None if it says neither."""
    number = number_in(cell)
    if number is not None:
        return {0.0: False, 1.0: True}.get(number)
    word = cell.lower()
    return True if word in YES else False if word in NO else None


def label_in(cell: str) -> int | None:
    """The label of a region that is called by its number: `2`, `2.0`, or `X2`; None for other names."""
    found = _NAME.fullmatch(cell)
    return int(found[1]) if found else None


def name_in(cell: str) -> str:
    """A name in the one form of Unicode in which names are compared (NFC); macOS writes file names in another."""
    return unicodedata.normalize("NFC", cell)


def word_in(cell: str) -> str:
    """The name of a patient or a series; empty if missing. `12`, `12.0` and `12,0` are the same."""
    return "" if is_missing(cell) else whole_number_in(name_in(cell))


def whole_number_in(name: str) -> str:
    """A name that is a whole number without the decimal that tables add to it: 12 of `12.0` and `12,0`."""
    found = _WITH_DECIMAL.fullmatch(name)
    return found[1] if found else name
