"""Faults of a config or of a model's header in plain words: all wrong keys and values, and the values expected."""

import difflib
import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "path": "a path",
    "model": "a section of keys",
    "dict": "a section of keys",
}
LISTS = ("tuple", "list")
LONGEST = 80  # letters of a key
MOST = 10  # faults in a line


def fault_text(model: type[BaseModel], error: ValidationError) -> str:
    """All faults of a config or header in one line; several are numbered, and past the tenth they are only counted.

    Args:
        model: The class that refused the values.
        error: Its refusal.
    """
    expected: dict[str, list[str]] = {}  # a value that may be of two kinds has a fault for each
    came: dict[str, str] = {}
    more: set[str] = set()
    for fault in error.errors(include_url=False):
        place, key, last = _place(model, fault["loc"])
        if key not in came and len(came) == MOST:
            more.add(key)
            continue
        if fault["type"] == "extra_forbidden":
            came[key], expected[key] = f"unknown key {key}; ", [_nearest(place, str(fault["loc"][-1]))]
            continue
        whole = fault["type"] == "value_error" and isinstance(fault["input"], dict)
        value = "nothing" if fault["type"] == "missing" else reprlib.repr(fault["input"])
        came.setdefault(key, f"{key}: " if whole and key else "" if whole else f"{key} is {value}; ")
        words = _expected(fault, last)
        if words not in expected.setdefault(key, []):
            expected[key].append(words)
    texts = [came[key] + " or ".join(words) for key, words in expected.items()]
    if len(texts) == 1:
        return texts[0]
    listed = ", ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))
    return f"{len(texts) + len(more):,} faults: {listed}" + (f", ... ({len(more):,} more)" if more else "")


def _place(model: type[BaseModel], location: Sequence[int | str]) -> tuple[type[BaseModel], str, FieldInfo | None]:
    """The section that a fault lies in, its dotted key, and its field; a type of a union is no part of the key."""
    section, names, field = model, [], None
    for part in location:
        inner = field and _section_of(field)
        if field is not None and inner is None:
            if isinstance(part, int):
                names[-1] += f"[{part}]"
            elif get_origin(field.annotation) is dict and "." not in names[-1]:
                names[-1] += f".{part[:LONGEST]}"
            continue
        section = inner or section
        names.append(str(part)[:LONGEST])
        field = section.model_fields.get(str(part))
        if field is None:
            break
    return section, ".".join(names), field


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    options = (field.annotation, *get_args(field.annotation))
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _expected(fault: Mapping[str, Any], field: FieldInfo | None) -> str:
    """The value that was expected, from the type of a fault."""
    kind, facts = str(fault["type"]), fault.get("ctx", {})
    if kind == "value_error":
        return str(facts["error"])
    word = kind.partition("_")[0]
    if kind in BOUNDS:
        words, bound = BOUNDS[kind]
        what = f"{words} {facts[bound]:g}"
    elif word in LISTS or kind in {"too_short", "too_long", "missing"}:
        what = _like_default(field)
    elif kind == "literal_error":
        what = facts["expected"]
    else:
        what = KINDS.get(word, "")
    return f"expected {what}" if what else str(fault["msg"]).lower()


def _like_default(field: FieldInfo | None) -> str:
    """A value such as the default; of a setting without one, its description."""
    if field is None:
        return "a list of numbers"
    if field.is_required():
        return "a section of keys" if _section_of(field) else field.description or "a value"
    default, kinds = field.get_default(call_default_factory=False), get_args(field.annotation)
    length = "" if Ellipsis in kinds else f" of {len(kinds)}"
    return f"a list{length}, such as {json.dumps(default)}" if isinstance(default, tuple) else "a list"


def _nearest(section: type[BaseModel], key: str) -> str:
    """The valid key of a section that is closest to an unknown one."""
    valid = list(section.model_fields)
    near = difflib.get_close_matches(key[:LONGEST], valid, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"valid keys here: {', '.join(valid)}"
