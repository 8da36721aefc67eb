"""YAML <-> typed, frozen settings. A config file is complete, every field says what it is, unknown keys are refused."""

from collections.abc import Mapping
from copy import deepcopy
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from weakmask.errors import UserError
from weakmask.setting_faults import fault_text
from weakmask.yaml_text import parse_yaml, read_yaml_file


class Settings(BaseModel):
    """A frozen section of a config; every field carries its description, range and, in its name, its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


AnySettings = TypeVar("AnySettings", bound=Settings)


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError("the first must be below the second")
    return pair


def _in_order(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first must not be above the second")
    return pair


def _holdable(sides: tuple[int, ...]) -> tuple[int, ...]:
    if prod(sides) > MOST_VOXELS:
        raise ValueError(f"these are {prod(sides):,} voxels; expected at most {MOST_VOXELS:,}")
    return sides


# Numbers that every config has, with bounds beyond which no computer and no image makes sense of them.
MOST_VOXELS = 512**3
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1, le=10**9)]  # steps, phantoms
Batch = Annotated[int, Field(ge=1, le=4096)]
Channels = Annotated[int, Field(ge=1, le=1024)]
Side = Annotated[int, Field(ge=1, le=8192)]
Shape = Annotated[tuple[Side, Side, Side], AfterValidator(_holdable)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]  # of scans that are kept, so that some are left
Spacing = Annotated[float, Field(ge=0.01, le=100)]  # mm
Millimetres = Annotated[float, Field(ge=0, le=1000)]
Rate = Annotated[float, Field(gt=0, le=100)]  # of learning
Weight = Annotated[float, Field(ge=0, le=1e6)]
Sigma = Annotated[float, Field(gt=0, le=1000)]
Sigmas = Annotated[tuple[Sigma, ...], Field(min_length=1, max_length=32)]
Scale = Annotated[float, Field(ge=0.1, le=10)]
Scales = Annotated[tuple[Scale, ...], Field(min_length=1, max_length=32)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Grey = Annotated[float, Field(ge=-1e6, le=1e6)]
Factors = Annotated[tuple[Scale, Scale], AfterValidator(_in_order)]
Fractions = Annotated[tuple[Fraction, Fraction], AfterValidator(_in_order)]
Window = Annotated[tuple[Grey, Grey], AfterValidator(_rising)]


class DeviceSettings(Settings):
    """How many devices share a training; the result is the same for any number of them."""

    devices: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1, description="GPUs of each node that share a training; on a CPU: processes"
    )
    nodes: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1, description="machines; with more than one, start the command by torchrun or srun"
    )
    strategy: Literal["ddp", "ddp_find_unused_parameters_true"] = Field(
        default="ddp", description="how gradients are averaged, by Lightning Fabric's name"
    )


# not part of what a stage's key is made of: a run may go on with another number of devices
DEVICES: Any = Field(
    default=DeviceSettings(), exclude=True, description="devices that share each training; see docs/scale.md"
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        UserError: The file is missing, is not YAML, or is not a mapping.
    """
    if not path.exists():
        raise UserError(f"{path}: no such config; `weakmask methods` lists the methods and their configs")
    values = read_yaml_file(path)
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
            result = with_values(result, {dotted: parse_yaml(text)})
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
        UserError: All unknown keys (with the nearest valid ones), values of a wrong type or out of range, in one line.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {fault_text(model, error)}") from error


def differences(old: Settings, new: Settings, prefix: str = "") -> list[str]:
    """Dotted names of the fields in which two settings of one class differ, with both values.

    Fields that change no number, which are excluded from the plain values of settings, may differ.
    """
    found = []
    for name in counted_fields(old):
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, Settings) and isinstance(after, Settings):
            found += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name} ({before} there, {after} here)")
    return found


def counted_fields(settings: Settings) -> list[str]:
    """The names of the fields that may change a number."""
    return [name for name, field in type(settings).model_fields.items() if not field.exclude]


def plain_values(settings: Settings) -> dict[str, Any]:
    """All fields of settings as nested plain values, with those that change no number."""
    plain = settings.model_dump()
    others = [name for name in type(settings).model_fields if name not in plain]
    return plain | {name: getattr(settings, name).model_dump() for name in others}


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
