"""Mutation check: apply one mutant at a time to a copy of the project, run its tests, and print which were killed.

python tests/mutants/run_mutants.py [WORD ...]     the mutants whose names hold a word; without words all
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mutants import MUTANTS, SOURCE, Mutant

PROJECT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".venv", "runs", "site", "__pycache__", ".*_cache", ".hypothesis")
PASSED, FAILED = 0, 1  # exit codes of pytest; others mean that the tests did not run


def mutated(text: str, mutant: Mutant) -> str:
    """The source with the fault.

    Raises:
        ValueError: The old text is not there exactly once.
    """
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} holds {mutant.old!r} {text.count(mutant.old)} times; expected once")
    return text.replace(mutant.old, mutant.new)


def exit_code(project: Path, tests: Sequence[str]) -> int:
    """The exit code of pytest with some tests of a copy of the project."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, check=False).returncode


def verdict(project: Path, mutant: Mutant) -> str:
    """`killed`, `survived`, or why neither is known."""
    file = project / SOURCE / mutant.file
    sound = file.read_text(encoding="utf-8")
    file.write_text(mutated(sound, mutant), encoding="utf-8")
    try:
        code = exit_code(project, mutant.tests)
    finally:
        file.write_text(sound, encoding="utf-8")
    known = {PASSED: "survived", FAILED: "killed"}
    return known.get(code, f"its tests did not run (exit code {code})")


def main(words: Sequence[str]) -> int:
    """Print a line per mutant; the exit code is 1 unless all are killed."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    width = max((len(mutant.name) for mutant in chosen), default=0)
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(*LEFT_OUT))
        if exit_code(project, list(dict.fromkeys(test for mutant in chosen for test in mutant.tests))) != PASSED:
            print("the tests do not pass without any mutant; mend them first")
            return 1
        for mutant in chosen:
            begun = time.monotonic()
            result = verdict(project, mutant)
            killed += result == "killed"
            print(f"{mutant.name:{width}}  {result}  {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{killed} of {len(chosen)} mutants killed")
    return 0 if killed == len(chosen) > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
