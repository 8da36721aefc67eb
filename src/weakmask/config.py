"""YAML <-> typed, frozen settings. A config file is complete, every field says what it is, unknown keys are refused."""

import difflib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from weakmask.errors import UserError, refuse_machine_fault


class Settings(BaseModel):
    """A frozen section of a config; every field carries its description, range and, in its name, its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


AnySettings = TypeVar("AnySettings", bound=Settings)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        UserError: The file is missing, is not YAML, or is not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such config; `weakmask methods` lists the methods and their configs") from error
    except (OSError, UnicodeDecodeError) as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read as a text file ({error}); expected a YAML config") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise UserError(f"{path}: not valid YAML{line}; expected `key: value` lines") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds {type(values).__name__}; expected a mapping of sections such as `data:`")
    return values


def with_overrides(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """A copy of nested values with `a.b=c` settings from the command line; c is read as YAML.

    Raises:
        UserError: An override without `=`, through a key that is not a section, or with a value that is no YAML.
    """
    result = values
    for override in overrides:
        dotted, sign, text = override.partition("=")
        if not sign or not dotted:
            raise UserError(f"--set {override}: expected KEY=VALUE, for example --set regression.steps=500")
        try:
            result = with_values(result, {dotted: yaml.safe_load(text)})
        except yaml.YAMLError as error:
            raise UserError(f"--set {override}: {text} is not valid YAML; quote it, or close its brackets") from error
        except UserError as error:
            raise UserError(f"--set {override}: {error}") from error
    return result


def with_values(values: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested values with some of them changed.

    Args:
        values: Nested mappings.
        changed: Key, or "section.key" -> the new value.

    Raises:
        UserError: A key goes through a value that is not a section.
    """
    result = deepcopy(dict(values))
    for dotted, value in changed.items():
        *sections, key = dotted.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UserError(f"{section} is not a section")
        place[key] = value
    return result


def parse(model: type[AnySettings], values: dict[str, Any], source: str) -> AnySettings:
    """Typed settings from plain values.

    Args:
        model: The settings' class.
        values: Nested mappings as YAML gives them.
        source: Where they come from, for the error line.

    Raises:
        UserError: An unknown key (with the nearest valid one), a value of the wrong type or out of range.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UserError(f"{source}: unknown key {key}; {_nearest(model, first['loc'])}") from error
        told = first["msg"].removeprefix("Value error, ").lower()
        if isinstance(first["input"], dict) and first["type"] == "value_error":  # of a whole section
            raise UserError(f"{source}: {key}: {told}") from error
        came = "nothing" if first["type"] == "missing" else repr(first["input"])
        raise UserError(f"{source}: {key} is {came}; {told}") from error


def differences(old: Settings, new: Settings, prefix: str = "") -> list[str]:
    """Dotted names of the fields in which two settings of one class differ, with both values."""
    found = []
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, Settings) and isinstance(after, Settings):
            found += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name} ({before} there, {after} here)")
    return found


def restricted(settings: AnySettings, names: tuple[str, ...] | None) -> AnySettings:
    """A copy of settings in which only some fields can be read; reading another one raises AttributeError.

    Args:
        settings: Of a method, or a section of them.
        names: Fields, or fields of sections (`refinement.weight`); None: all.

    Raises:
        ValueError: No such field.
    """
    if names is None:
        return settings
    unknown = {name.partition(".")[0] for name in names} - set(type(settings).model_fields)
    if unknown:
        raise ValueError(f"{type(settings).__name__} has no field {', '.join(sorted(unknown))}")
    kept = {}
    for name in type(settings).model_fields:
        inner = tuple(one.partition(".")[2] for one in names if one.partition(".")[0] == name)
        if inner:
            value = getattr(settings, name)
            kept[name] = value if "" in inner else restricted(value, inner)
    copy = settings.model_copy()
    object.__setattr__(copy, "__dict__", kept)  # the model is frozen
    return copy


def to_yaml(settings: Settings) -> str:
    """A complete YAML text, every key with its description as a comment."""
    return "\n".join(_lines(settings, 0)) + "\n"


def _lines(settings: Settings, depth: int) -> list[str]:
    indent = "  " * depth
    lines: list[str] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        comment = f"  # {field.description}" if field.description else ""
        if isinstance(value, Settings):
            lines += ["", f"{indent}{name}:{comment}", *_lines(value, depth + 1)]
        else:
            plain = settings.model_dump(mode="json", include={name})[name]
            text = yaml.safe_dump(plain, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
            lines.append(f"{indent}{name}: {text}{comment}")
    return lines


def _nearest(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """The valid key closest to the unknown one, in its own section."""
    section: type[BaseModel] = model
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        options = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not options:
            break
        section = options[0]
    valid = list(section.model_fields)
    near = difflib.get_close_matches(str(location[-1]), valid, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"valid keys here: {', '.join(valid)}"
