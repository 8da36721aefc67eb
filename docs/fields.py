"""MkDocs hook: the complete config of each method, from the code itself, where a page asks for it."""

from importlib import import_module
from typing import Any

from weakmask.config import parse, to_yaml
from weakmask.methods import METHODS


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put all fields of a method, each with its description, in the place of `<!-- fields of METHOD -->`."""
    for name, card in METHODS.items():
        place = f"<!-- fields of {name} -->"
        if place in markdown:
            settings = getattr(import_module(card.module), card.settings)
            values = {"data": {"cohort": "my/cohort"}}
            markdown = markdown.replace(place, f"```yaml\n{to_yaml(parse(settings, values, place))}```")
    return markdown
