"""Nested values (a manifest, a config) laid out for a reader as rows, small tables and YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from weakmask.report.number_text import duration, number

SPELLED = {"weakmask": "weakmask", "python": "Python"}
LONG = 8  # tables with more rows are shown folded
HASH_LETTERS = 40


class _Yaml(yaml.SafeDumper):
    """YAML with lists of plain values on one line."""


def _one_line(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    plain = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=plain)


_Yaml.add_representer(list, _one_line)


@dataclass(frozen=True)
class Fact:
    """One line: a name and a value."""

    name: str
    value: str
    code: bool


@dataclass(frozen=True)
class FactTable:
    """A table with a title; `heads` is empty for pairs of name and value."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Fact, ...], ...]

    @property
    def long(self) -> bool:
        """Whether the table is shown folded."""
        return len(self.rows) > LONG


def facts(values: Mapping[str, Any]) -> tuple[tuple[Fact, ...], tuple[FactTable, ...]]:
    """Plain values as lines, mappings and lists of mappings as tables; empty values are left out."""
    lines, tables = [], []
    for key, value in values.items():
        if value is None or (isinstance(value, Mapping | list | tuple | str) and not value):
            continue
        if isinstance(value, Mapping):
            tables.append(_mapping_table(key, value))
        elif isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, Mapping) for v in value):
            tables.append(_rows_table(key, list(value)))
        else:
            lines.append(_fact(key, value))
    return tuple(lines), tuple(tables)


def config_lines(config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """A config as YAML lines, each split into its key (with indent and colon) and the rest."""
    text = yaml.dump(_plain(config), Dumper=_Yaml, sort_keys=False, allow_unicode=True, width=110)
    lines = []
    for line in text.splitlines():
        key, colon, rest = line.partition(":")
        is_key = bool(colon) and (not rest or rest[0] == " ") and not key.lstrip().startswith(("'", '"'))
        lines.append((key + colon, rest) if is_key else ("", line))
    return tuple(lines)


def title(key: str) -> str:
    """A key as words: `peak_memory_mb` is `Peak memory (MB)`."""
    if key in SPELLED:
        return SPELLED[key]
    words = str(key).replace("_", " ").strip()
    for unit, shown in (("mb", "MB"), ("gb", "GB"), ("mm", "mm"), ("hu", "HU")):
        if words.endswith(f" {unit}"):
            words = f"{words[: -len(unit) - 1]} ({shown})"
    words = words.replace("sha256", "SHA-256")
    return words[:1].upper() + words[1:] if words.islower() or "_" in str(key) else words


def _fact(key: str, value: Any) -> Fact:
    if isinstance(value, int | float | np.number) and str(key).endswith("seconds"):
        return Fact(title(key).removesuffix(" seconds").replace("Seconds", "Time"), duration(float(value)), code=False)
    if isinstance(value, Mapping):
        value = ", ".join(f"{name} {number(v)}" for name, v in value.items())
    elif isinstance(value, list | tuple | set):
        value = ", ".join(number(v) for v in value)
    text = str(value) if isinstance(value, bool | str | Path) or key == "seed" else number(value)
    code = len(text) >= HASH_LETTERS and " " not in text
    return Fact(title(key), text, code)


def _mapping_table(key: str, values: Mapping[str, Any]) -> FactTable:
    """Pairs; if every value is a mapping, one row per value with its name in front."""
    if all(isinstance(value, Mapping) for value in values.values()):
        return _rows_table(key, [{key: name, **value} for name, value in values.items()])
    rows = tuple((Fact("", str(name), code=False), _fact("", value)) for name, value in values.items())
    return FactTable(title(key), (), rows)


def _rows_table(key: str, values: list[Mapping[str, Any]]) -> FactTable:
    keys = list(dict.fromkeys(name for value in values for name in value))
    rows = tuple(tuple(_fact(name, value.get(name, "")) for name in keys) for value in values)
    return FactTable(title(key), tuple(_fact(name, 0.0).name for name in keys), rows)


def _plain(value: Any) -> Any:
    """Convert a value for YAML: settings to mappings, paths to text, NumPy numbers to numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
