"""Numbers as text for a reader: digits, percentages, durations."""

import numpy as np

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


def number(value: object) -> str:
    """Text of a value: integers without decimals, others with three, a dash for a missing value, words unchanged."""
    if isinstance(value, bool | str):
        return str(value)
    if not isinstance(value, int | float | np.integer | np.floating):
        return NOTHING if value is None or repr(value) in {"<NA>", "NaT"} else str(value)
    value = value if isinstance(value, int | np.integer) else float(value)
    if np.isnan(value):
        return NOTHING
    if float(value).is_integer():
        return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", MINUS)
    return decimals(float(value), 3) if 1e-3 <= abs(value) < 1e5 else f"{value:.3g}".replace("-", MINUS)


def decimals(value: float, digits: int) -> str:
    """A number with `digits` decimals and a typographic minus sign."""
    return f"{value:.{digits}f}".replace("-", MINUS)


def percent(fraction: float) -> str:
    """A fraction in per cent, with one decimal below ten per cent."""
    return f"{100 * fraction:.1f} %" if 0 < fraction < 0.1 else f"{100 * fraction:.0f} %"


def duration(seconds: float) -> str:
    """Seconds as `0.4 s`, `2 min 05 s`, `3 h 10 min`."""
    if round(seconds) < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
