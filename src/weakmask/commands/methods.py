"""`weakmask methods`: what each method learns from, its paper, and the config files that come with the package."""

import re
from pathlib import Path

import weakmask
from weakmask.methods import METHODS

PACKAGE = Path(weakmask.__file__).parent
FOLDERS = (PACKAGE / "configs", PACKAGE.parents[1] / "configs")  # in the installed package; beside the source


def shipped_configs(method: str) -> list[Path]:
    """The config files that come with the package and train a method, sorted by name."""
    files = sorted(path for folder in FOLDERS for path in folder.glob("*.yaml"))
    named = re.compile(rf"^method: {re.escape(method)}$", re.MULTILINE)
    return [path for path in files if named.search(path.read_text(encoding="utf-8"))]


def describe_methods() -> dict[str, dict[str, str | list[str]]]:
    """Each method's title, paper, labels and config files."""
    return {
        name: {
            "title": method.title,
            "labels": method.labels,
            "paper": method.paper,
            "configs": [_short(path) for path in shipped_configs(name)],
        }
        for name, method in METHODS.items()
    }


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
