"""The house rules that a script can see: who imports whom, how long things get, what they are called.

The rules themselves, and why, stand in CONTRIBUTING.md and docs/design.md.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src" / "weakmask"
SOURCES = sorted(PACKAGE.rglob("*.py"))
BENCHMARKS = sorted((PROJECT / "benchmarks").rglob("*.py"))
TESTS = sorted((PROJECT / "tests").rglob("*.py"))

# a room may import from the layers under it, and from rooms beside it as long as no circle closes
LAYERS: tuple[set[str], ...] = (
    {"__init__", "__main__", "api", "cli", "cli_scans"},
    {"cli_options"},
    {"ending", "screen"},
    {"commands", "experiments"},
    {"inference"},
    {"methods"},
    {"region_learning"},
    {"regions"},
    {"config", "pipeline", "prediction"},
    {"training", "report", "pacs", "web"},
    {"activation", "refinement", "evaluation", "scoring", "anatomy", "phantoms", "datasets"},
    {"networks", "losses", "volume"},
    {
        *("errors", "atomic_write", "memory", "progress", "terminal", "outgoing_text", "yaml_text", "csv_table"),
        *("setting_faults", "worker_processes", "ray_cluster", "folder_lock", "windows"),
    },
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
TENSORS_ONLY = {"networks", "losses"}  # each lifts out of the house: torch, the standard library and its own files
WRAPS = {"weakmask.networks.v_net": "monai"}  # but these modules wrap a library that holds the field's network
IMPORTS_BY_NAME = {  # modules that may import by a name made at run time, each from a table of our own modules
    "weakmask",
    "weakmask.methods",
}
LEARNING = {"lightning", "lightning_fabric", "safetensors", "sklearn", "tensorboard", "torchvision"}
LEARNING_TORCH = ("torch.autograd", "torch.nn.Module", "torch.nn.Parameter", "torch.optim", "torch.utils")

MOST_ANY = 10  # lines of `methods` that say `Any`
MOST_METHODS = 0.2  # share of `methods` in the source
MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 300, 60, 7
BANNED_NAMES = {"util", "utils", "core", "common", "base", "engine", "helper", "helpers", "misc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def named(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    """The dotted name; a package's is that of its `__init__.py`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a file, wherever it stands; a name in a module of ours is that module."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}:{node.lineno} imports relatively; write the whole name"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                yield node.lineno, module if module in MODULES and whole not in MODULES else whole


def own_imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """The imports of our own modules; `from weakmask import __version__` is a constant, not a room."""
    for line, module in imports_of(path):
        if module.split(".")[0] == "weakmask" and module != "weakmask":
            yield line, module


def functions_of(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def is_command_line(path: Path) -> bool:
    return room_of(module_of(path)) in {"cli", "cli_scans", "__main__"}


def test_every_room_has_a_layer():
    homeless = sorted({room_of(module) for module in MODULES} - set(LEVEL))
    assert not homeless, f"{homeless} stand in no layer; name their place in LAYERS and in docs/design.md"


def test_imports_go_down():
    wrong = [
        f"{named(path)}:{line} imports {module}"
        for path in SOURCES
        for line, module in own_imports_of(path)
        if room_of(module) != room_of(module_of(path)) and LEVEL[room_of(module)] < LEVEL[room_of(module_of(path))]
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("grain", ["rooms", "modules"])
def test_no_circles(grain: str):
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        for _, module in own_imports_of(path):
            ends = [room_of(m) if grain == "rooms" else m for m in (module_of(path), module)]
            if ends[0] != ends[1]:
                graph.setdefault(ends[0], set()).add(ends[1])
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"{grain} import in a circle: {' <- '.join(error.args[1])}")
    assert set(graph) <= set(order)


def test_networks_and_losses_lift_out():
    wrong = []
    for path in SOURCES:
        room = room_of(module_of(path))
        for line, module in imports_of(path):
            top = module.split(".")[0]
            known = {"torch", "jaxtyping", "weakmask", WRAPS.get(module_of(path), "")}
            foreign = top not in known and top not in sys.stdlib_module_names
            if room in TENSORS_ONLY and (foreign or (top == "weakmask" and room_of(module) != room)):
                wrong.append(f"{named(path)}:{line} imports {module}")
    assert not wrong, wrong


def test_no_import_hides_behind_a_string():
    """`import_module` and `__import__` would pass every test above unseen."""
    hidden = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Name) and node.id in {"import_module", "__import__"})
        or (isinstance(node, ast.Attribute) and node.attr in {"import_module", "__import__"})
        or (isinstance(node, ast.alias) and node.name.split(".")[-1] in {"import_module", "importlib"})
    }
    assert hidden <= IMPORTS_BY_NAME, f"{sorted(hidden - IMPORTS_BY_NAME)} import by a string; write the import out"


def test_volume_knows_nothing_of_learning():
    wrong = []
    for path in SOURCES:
        for line, module in imports_of(path):
            top = module.split(".")[0]
            learns = top in LEARNING or module == "torch.nn" or module.startswith(LEARNING_TORCH)
            beside = top == "weakmask" and room_of(module) in TENSORS_ONLY
            if room_of(module_of(path)) == "volume" and (learns or beside):
                wrong.append(f"{named(path)}:{line} imports {module}")
    assert not wrong, wrong


def test_a_method_imports_no_other_method():
    methods = {path.parent.name for path in SOURCES if path.parent.parent == PACKAGE / "methods"}
    wrong = [
        f"{named(path)}:{line} imports {module}"
        for path in SOURCES
        if path.parent.parent == PACKAGE / "methods"
        for line, module in own_imports_of(path)
        if module.split(".")[1] == "methods" and {*module.split(".")[2:3]} & (methods - {path.parent.name})
    ]
    assert not wrong, wrong


def test_the_settings_and_tables_of_methods_have_types():
    lines = [line for path in SOURCES if "methods" in path.parts for line in path.read_text("utf-8").splitlines()]
    assert len([line for line in lines if re.search(r"\bAny\b", line)]) <= MOST_ANY


def test_methods_are_a_small_part():
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert sum(lines[path] for path in SOURCES if "methods" in path.parts) <= MOST_METHODS * sum(lines.values())


def test_files_are_read_in_one_sitting():
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES + BENCHMARKS + TESTS}
    too_long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES}
    assert not too_long, f"look for the second idea in {too_long}"


def test_functions_fit_on_a_screen():
    too_long, too_many = [], []
    for path in SOURCES + BENCHMARKS:
        for function in functions_of(path):
            where = f"{named(path)}:{function.lineno} {function.name}"
            arguments = function.args
            names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            parameters = len([name for name in names if name not in {"self", "cls"}])
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if not is_command_line_verb(path, function):
                too_long += [f"{where}: {lines} lines"] * (lines > MOST_FUNCTION_LINES)
                too_many += [f"{where}: {parameters} parameters"] * (parameters > MOST_PARAMETERS)
    assert not too_long, too_long
    assert not too_many, too_many


def is_command_line_verb(path: Path, function: Function) -> bool:
    """A verb's flags are its parameters, and each of them brings its help text."""
    return path in SOURCES and is_command_line(path) and bool(function.decorator_list)


def test_only_the_command_line_prints():
    prints = [
        f"{named(path)}:{node.lineno}"
        for path in SOURCES
        if not is_command_line(path)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not prints, prints


def test_every_name_says_something():
    nameless = [
        named(path)
        for path in SOURCES + BENCHMARKS + TESTS
        if BANNED_NAMES & set(path.relative_to(PROJECT).with_suffix("").parts)
    ]
    assert not nameless, f"a word is missing for {nameless}; find it"


def undocumented(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Public functions, classes and methods without a docstring; what stands inside a function is private."""
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        overload = any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)
        if ast.get_docstring(node) is None and not overload:
            yield node
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body)


def test_everything_public_is_documented():
    bare = [f"{named(path)}:{node.lineno} {node.name}" for path in SOURCES for node in undocumented(tree_of(path).body)]
    bare += [named(path) for path in SOURCES if ast.get_docstring(tree_of(path)) is None]
    assert not bare, bare


def test_every_benchmark_offers_json():
    silent = [named(path) for path in BENCHMARKS if "--json" not in path.read_text(encoding="utf-8")]
    assert not silent, silent
