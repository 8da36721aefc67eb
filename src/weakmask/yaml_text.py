"""The one way in which a YAML text is read: its size is bounded before anything is made of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from weakmask.errors import UserError, refuse_machine_fault
from weakmask.outgoing_text import cut

MOST_BYTES = 1 << 20
MOST_DEPTH = 32  # of brackets in brackets
MOST_VALUES = 20_000  # after every alias is replaced by what it stands for; 64 characters count as one value


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """The values of a mapping by their keys."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {cut(key.value)} stands there twice", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text, made of plain types alone.

    Raises:
        UserError: It is not YAML, has a value that its type does not know (2020-02-30), is nested too deeply, has a key
            twice, or holds too much. The line says what, and does not begin with the file's name.
    """
    if len(text) > MOST_BYTES:
        raise UserError(f"{len(text):,} characters; expected a YAML text of at most {MOST_BYTES:,}")
    try:
        _refuse_too_much(yaml.parse(text, Loader=yaml.SafeLoader))
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise UserError(_reason(error)) from error
    # what PyYAML's safe loader also raises, for `!!int x`, `!!timestamp x`, `!!bool x`, 2020-02-30, 5,000 digits
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError) as error:
        reason = "" if isinstance(error, AttributeError | LookupError | RecursionError) else f" ({cut(str(error))})"
        raise UserError(f"not valid YAML: a value is not of the type that it looks like{reason}; quote it") from error


def read_yaml_file(path: Path) -> Any:
    """The value of a YAML file.

    Raises:
        UserError: The file cannot be read, or as in `parse_yaml`; the line begins with the path.
        MachineError: The disk, the share, the memory or the number of open files is at fault.
    """
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: not a file; expected a YAML text")
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; expected a YAML text") from error
    except (OSError, UnicodeDecodeError) as error:
        refuse_machine_fault(error, path)
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"{path}: cannot be read as a text file ({reason}); expected a YAML text") from error
    try:
        return parse_yaml(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _refuse_too_much(events: Iterator[yaml.Event]) -> None:
    """Refuse a text that is too deep, or too large once its aliases are replaced; nothing is replaced for that."""
    sizes: dict[str, int] = {}  # anchor -> values that it stands for
    open_anchors: list[tuple[str | None, int]] = []
    total = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise UserError(f"the alias *{event.anchor} stands for nothing, or for itself; write the value")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            size = 1 + len(event.value) // 64
            total += size
            if event.anchor:
                sizes[event.anchor] = size
        elif isinstance(event, yaml.CollectionStartEvent):
            total += 1
            open_anchors.append((event.anchor, total))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_anchors.pop()
            if anchor:
                sizes[anchor] = 1 + total - before
        if len(open_anchors) > MOST_DEPTH:
            line = event.start_mark.line + 1
            raise UserError(f"brackets in brackets more than {MOST_DEPTH} deep at line {line}; close them")
        if total > MOST_VALUES:
            raise UserError(f"more than {MOST_VALUES:,} values, every alias replaced; expected fewer")


def _reason(error: yaml.YAMLError) -> str:
    """The reason of PyYAML, with the line of the text."""
    mark = getattr(error, "problem_mark", None)
    line = f" at line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or "it holds characters that YAML does not allow"
    return f"not valid YAML{line} ({cut(str(problem))}); expected `key: value` lines"
