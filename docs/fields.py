"""MkDocs hooks: tables of settings, a heading for each module of the reference, the version, paths from any folder.

A page asks for the settings of a method by `<!-- settings of METHOD -->`, and for the modules of a package by the line
`::: weakmask.PACKAGE` of mkdocstrings.
"""

import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from weakmask import __version__
from weakmask.config import Settings
from weakmask.methods import METHODS

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = PROJECT / "src"
MODULE = "::: {name}\n    options: {{heading_level: 2, show_root_heading: true, show_root_full_path: true}}\n"


def on_config(config: Any) -> Any:
    """Show the version in the footer; find CONTRIBUTING.md and CHANGELOG.md from any working folder."""
    config.copyright = f"weakmask {__version__}, Apache-2.0. For research; not a medical device."
    config.mdx_configs["pymdownx.snippets"]["base_path"] = [str(PROJECT)]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Expand what a page asks for."""
    markdown = markdown.replace("<!-- version -->", __version__)
    markdown = re.sub(r"<!-- settings of (\w+) -->", lambda found: settings_tables(found.group(1)), markdown)
    return re.sub(r"^::: (weakmask[\w.]*)$", lambda found: modules_of(found.group(1)), markdown, flags=re.MULTILINE)


def on_post_page(output: str, **_: Any) -> str:
    """Take the indentation out of a page, a tenth of its size, but for code and scripts."""
    parts = re.split(r"(<pre.*?</pre>|<script.*?</script>)", output, flags=re.DOTALL)
    return "".join(part if number % 2 else re.sub(r"\s*\n\s*", "\n", part) for number, part in enumerate(parts))


def modules_of(name: str) -> str:
    """The mkdocstrings blocks of a module, or of a package and each module in it."""
    path = SOURCE / Path(*name.split("."))
    if not path.is_dir():
        return MODULE.format(name=name)
    names = [f"{name}.{file.stem}" for file in sorted(path.glob("*.py")) if file.stem != "__init__"]
    if re.search(r"^(class|def) ", (path / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE):
        names.insert(0, name)  # what a package only passes on is shown with its module
    return "\n".join(MODULE.format(name=module) for module in names)


def settings_tables(method: str) -> str:
    """A heading and a table for every section of a method's config."""
    return "\n".join(_section(METHODS[method].settings, method, ()))


def _section(settings: type[Settings], method: str, path: tuple[str, ...]) -> list[str]:
    """Markdown of one section, its subsections after it."""
    lines, later = [], list[str]()
    if path:
        anchor = "-".join((method, *path))
        lines += [f"### `{'.'.join(path)}` {{ #{anchor} }}", "", (settings.__doc__ or "").split("\n")[0], ""]
    lines += ["| setting | default | values | meaning |", "|---|---|---|---|"]
    for name, field in settings.model_fields.items():
        inner = _settings_in(field.annotation)
        if inner is not None:
            later += _section(inner, method, (*path, name))
            continue
        anchor = "-".join((method, *path, name))
        default = "required" if field.is_required() else f"`{plain_value(field.default)}`"
        values = values_text(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)
        meaning = (field.description or "the method").replace("|", "\\|")
        lines.append(f"| [`{name}`](#{anchor}){{ #{anchor} }} | {default} | {values} | {meaning} |")
    return [*lines, "", *later]


def _settings_in(annotation: Any) -> type[Settings] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Settings) else None


def plain_value(value: Any) -> str:
    """A default as YAML has it, with at most three significant digits: 30/322 is 0.0932."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return "[" + ", ".join(plain_value(item) for item in value) + "]"
    if isinstance(value, float) and len(repr(value)) > 8:
        return f"{value:.3g}"
    return str(value)


def values_text(annotation: Any) -> str:
    """The values that a setting takes, in words: `above 0`, `0 to 1`, `true, false`, `adam, sgd`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind, *bounds = arguments
        return bounds_text(values_text(kind), bounds)
    if origin is Literal:
        return ", ".join(f"`{plain_value(value)}`" for value in arguments)
    if origin in {Union, UnionType}:
        return " or ".join("`null`" if part is NoneType else values_text(part) for part in arguments)
    if origin is tuple:
        inner = values_text(arguments[0])
        return f"a list, each {inner}" if arguments[-1] is Ellipsis else f"{len(arguments)} values, each {inner}"
    return {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", Path: "path"}[annotation]


def bounds_text(kind: str, bounds: list[Any]) -> str:
    """A kind of value with its least and greatest: `number from 0 to 1`."""
    limits: dict[str, Any] = {}
    for bound in bounds:
        for part in getattr(bound, "metadata", None) or [bound]:  # a bound, or a pydantic Field that carries some
            limits |= {key: getattr(part, key) for key in ("gt", "ge", "lt", "le") if hasattr(part, key)}
    if not limits:
        return kind
    low = f"from {limits['ge']}" if "ge" in limits else f"above {limits['gt']}" if "gt" in limits else "up"
    high = f" to {limits['le']}" if "le" in limits else f" to below {limits['lt']}" if "lt" in limits else ""
    return f"{kind} {low}{high}"
