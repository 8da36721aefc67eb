"""Runs the command line again and again in forks of one process, so that a run need not import torch again.

Reads a line of JSON per command from standard input, and answers each with one.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import joblib
import torch
from small_presets import make_presets_small
from write_faults import write_faults

from weakmask.cli import main
from weakmask.methods import METHODS


def answer(command: dict[str, Any]) -> dict[str, Any]:
    """Run one command in a fork: its exit code (minus a signal), its error lines, and the operations that wrote."""
    with tempfile.TemporaryDirectory() as folder:
        printed, done, imported = (Path(folder) / name for name in ("stderr", "done", "imported"))
        child = os.fork()
        if child == 0:
            run(command, printed, done, imported)
        _, status = os.waitpid(child, 0)
        if imported.exists():
            import_all(imported.read_text(encoding="utf-8").split())
        return {
            "code": os.waitstatus_to_exitcode(status),
            "lines": printed.read_text(encoding="utf-8").splitlines(),
            "done": done.read_text(encoding="utf-8").splitlines() if done.exists() else [],
        }


def import_all(names: Iterable[str]) -> None:
    """Import what a fork has imported, for the next forks."""
    for name in names:
        if name not in sys.modules:
            with suppress(ImportError):
                import_module(name)


def run(command: dict[str, Any], printed: Path, done: Path, imported: Path) -> None:
    """The fork: run the command with its fault, and end."""
    for number in (1, 2):
        os.dup2(os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.argv = ["weakmask", *command["arguments"]]
    os.chdir(command["folder"])
    code = 1
    with (
        joblib.parallel_config(backend="sequential"),
        write_faults(Path(command["below"]), command["position"], command["kind"]) as faults,
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:  # what the interpreter would do
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    sys.stderr.flush()
    done.write_text("\n".join(faults.done), encoding="utf-8")
    imported.write_text("\n".join(sys.modules), encoding="utf-8")
    os._exit(code)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_presets_small()
    assert all(METHODS[name].stages for name in METHODS)  # imports them
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
