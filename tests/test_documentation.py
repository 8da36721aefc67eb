"""The pages keep what they promise: each is in the navigation, each room in the reference, each command exists."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from weakmask import __version__
from weakmask.cli import app
from weakmask.config import read_yaml
from weakmask.scoring.severity import CT_SEVERITY, read_score_map

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src" / "weakmask"
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
ROOMS = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in PACKAGE.rglob("*.py")}


def site() -> dict:
    return yaml.safe_load((PROJECT / "mkdocs.yml").read_text(encoding="utf-8"))


def pages_in(nav: list | dict | str) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from pages_in(entry)


def test_navigation_lists_every_page():
    there = {path.relative_to(PROJECT / "docs").as_posix() for path in (PROJECT / "docs").rglob("*.md")}
    assert set(pages_in(site()["nav"])) == there


def test_notebooks_are_linked_and_hold_no_outputs():
    """pytest runs them (nbmake); a page shows them as files."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    linked = {name for text in texts for name in re.findall(r"\((?:\.\./)?notebooks/([\w.]+)\)", text)}
    notebooks = sorted((PROJECT / "docs" / "notebooks").glob("*.ipynb"))
    assert {path.name for path in notebooks} == linked
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        run = [cell for cell in cells if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"])]
        assert not run, f"{path}: take its outputs out (Clear All Outputs)"


def test_every_room_is_in_the_reference():
    text = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "docs" / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: weakmask\.(\w+)", text, re.MULTILINE))
    rooms = ROOMS - {"__init__", "__main__", "cli", "cli_options", "cli_scans"}
    assert rooms <= shown, f"docs/reference shows nothing of {sorted(rooms - shown)}"


def test_the_design_page_names_every_room():
    text = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    rooms = re.search(r"^\| room \|.*?(?=^$)", text, re.MULTILINE | re.DOTALL)
    assert rooms
    assert folders == set(re.findall(r"^\| `(\w+)` \|", rooms[0], re.MULTILINE))


def blocks(page: Path, language: str) -> list[str]:
    """The page's fenced blocks in a language, a pattern."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shell_lines(page: Path) -> Iterator[str]:
    """The commands in the page's fenced blocks, without prompts, continuation lines joined."""
    for block in blocks(page, "[a-z]*"):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.strip().removeprefix("$ ")


COMMANDS = sorted({line for page in PAGES for line in shell_lines(page) if line.startswith("weakmask ")})
TARGETS = sorted({line.split()[1] for page in PAGES for line in shell_lines(page) if line.startswith("make ")})


@pytest.mark.parametrize("command", COMMANDS)
def test_documented_commands_are_real(command: str):
    if "cli" not in ROOMS:
        pytest.skip("the command line is not written yet")
    verbs = command_line_verbs()
    verb, *words = shlex.split(command, comments=True)[1:]
    assert verb == "--help" or verb in verbs, f"`{command}`: no such verb; there are {sorted(verbs)}"
    if verb in verbs:
        assert refusal(verbs[verb], words) == "", f"`{command}` is refused"


def example_of(command: Any) -> str:
    """The command line that ends a verb's help."""
    found = re.fullmatch(r"Example: \[bold\](weakmask .+)\[/\]", command.epilog or "")
    assert found, f"the help of {command.name} ends with {command.epilog!r}; expected an example"
    return found.group(1)


def test_the_help_of_every_verb_ends_with_an_example_that_runs():
    for name, command in command_line_verbs().items():
        verb, *words = shlex.split(example_of(command))[1:]
        assert verb == name
        assert refusal(command, words) == "", f"`{name} {shlex.join(words)}` is refused"


def test_help_pages_name_flags_and_arguments_plainly():
    for name, command in command_line_verbs().items():
        page = CliRunner().invoke(app, [name, "--help"]).output
        assert "<bool>" not in page
        assert command.help.split("\n")[0][:40] in page
        for parameter in command.params:
            assert parameter.help, f"{name}: {parameter.name} has no help"
            assert parameter.help[0].isupper() or parameter.help[0].isdigit()
            assert parameter.help.endswith((".", "...")), f"{name} {parameter.name}: {parameter.help!r}"
            assert not DIALECT.search(f"{parameter.help} {command.help}")


DIALECT = re.compile(
    r"\b(told|telling|judged|judging|ours|mine|theirs|whichever|whoever|learnt|rungs?|lottery|hence)\b", re.IGNORECASE
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_the_pages_are_in_plain_words(page: Path):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`]*`|\"[^\"]*\"|\(ours[^)]*\)|<!--.*?-->", "", text)
    found = [line.strip() for line in prose.splitlines() if DIALECT.search(line)]
    assert not found, "CONTRIBUTING.md, Plain words"


@cache
def command_line_verbs() -> dict[str, Any]:
    """Verb -> its parser, from the real command line."""
    typer_main, cli = import_module("typer.main"), import_module("weakmask.cli")
    return typer_main.get_command(cli.app).commands


def refusal(command: Any, words: list[str]) -> str:
    """Why the command line would not take these words; a path that is not there is a reader's own, and fine."""
    try:
        command.make_context(command.name, list(words))
    except Exception as error:  # noqa: BLE001  typer keeps its exceptions under names that are not public
        return "" if type(error).__name__ in {"BadParameter", "Exit"} else f"{type(error).__name__}: {error}"
    return ""


IMPORTS = sorted(
    {
        line
        for page in PAGES
        for block in blocks(page, "python")
        for line in block.splitlines()
        if line.startswith(("import weakmask", "from weakmask"))
    }
)


@pytest.mark.parametrize("line", IMPORTS)
def test_documented_imports_are_real(line: str):
    found: dict[str, Any] = {}
    exec(line, found)
    assert found.keys() > {"__builtins__"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_documented_python_and_yaml_can_be_read(page: Path):
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")
    for block in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(block), dict)


def settings_hook() -> Any:
    """docs/fields.py, which writes the tables of settings."""
    spec = spec_from_file_location("fields", PROJECT / "docs" / "fields.py")
    assert spec is not None
    assert spec.loader is not None
    hook = module_from_spec(spec)
    spec.loader.exec_module(hook)
    return hook


def test_every_setting_has_an_anchor_a_default_its_values_and_a_meaning():
    written = {path.stem: read_yaml(path) for path in sorted((PROJECT / "configs").glob("*_ct.yaml"))}
    for values in written.values():
        table = settings_hook().settings_tables(values["method"])
        rows = re.findall(r"^\| \[`\w+`\]\(#([\w-]+)\)\{ #\1 \} \| (.+?) \| (.+?) \| (.+) \|$", table, re.MULTILINE)
        assert {anchor for anchor, *_ in rows} == {"-".join((values["method"], *path)) for path in paths_in(values)}
    assert "| `0.093` | number from 0 to below 1 |" in settings_hook().settings_tables("dram")
    assert "| `[80, 80, 80]` | 3 values, each whole number from 1 to 8192 |" in settings_hook().settings_tables("dram")


def paths_in(values: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The path of every setting in nested values."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((key, *path) for path in paths_in(value))
        else:
            yield (key,)


def test_the_pages_search_without_a_server():
    assert {"search", "offline"} <= {plugin for plugin in site()["plugins"] if isinstance(plugin, str)}
    assert [(PROJECT / "docs" / script).is_file() for script in site()["extra"]["polyfills"]] == [True]
    assert site()["use_directory_urls"] is False


def test_the_citation_is_that_of_the_citation_file():
    cited = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    software, paper = re.findall(r"@\w+\{.*?\n\}", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert f"{{{cited['title']}}}" in software
    assert f"{{{cited['version']}}}" in software
    assert cited["version"] == __version__
    assert f"{{{cited['references'][0]['title']}}}" in paper
    assert f"{{{cited['references'][0]['identifiers'][0]['value'].removeprefix('arXiv:')}}}" in paper


def test_the_cohort_page_shows_the_default_score_map(tmp_path: Path):
    shown = next(block for block in blocks(PROJECT / "docs" / "cohort.md", "yaml") if block.startswith("name:"))
    file = tmp_path / "scores.yaml"
    file.write_text(shown, encoding="utf-8")
    assert read_score_map(file).intervals == CT_SEVERITY.intervals


def test_the_tests_that_the_reliability_page_names_are_real():
    text = (PROJECT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(?:\w+::)?(test_\w+))?`", text)
    absent = [f"{file} {test}" for file, test in named if f"def {test}" not in (PROJECT / file).read_text("utf-8")]
    assert len(named) > 20
    assert not absent, absent


@pytest.mark.parametrize("target", TARGETS)
def test_documented_make_targets_are_real(target: str):
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), f"`make {target}`: no such target"
