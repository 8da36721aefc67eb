"""What differs under Windows, simulated: no machine of that kind was at hand."""

import ast
import builtins
import os
import re
import shutil
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from simulated_windows import GB, Kernel32
from weakmask import atomic_write, windows, worker_processes
from weakmask.atomic_write import atomic_file, atomic_files, atomic_folder, clear_litter, move_into, temporary_name
from weakmask.errors import MachineError
from weakmask.folder_lock import locked
from weakmask.memory import memory_bytes
from weakmask.pipeline.peak_memory import peak_memory_mb

SOURCE = Path(windows.__file__).parent
POSIX_ALONE = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog", "crypt", "nis", "spwd"}
CALLS_OF_POSIX = {
    *("fork", "getuid", "geteuid", "getgid", "getpgid", "setsid", "killpg", "kill", "sysconf", "mkfifo", "statvfs"),
    *("sched_getaffinity", "nice", "chown", "umask", "symlink", "pause", "setitimer", "alarm", "SIGKILL", "SIGHUP"),
}
PORTABLE = {("atomic_write.py", "kill"), ("memory.py", "sysconf")}  # behind a question to `windows.WINDOWS`


def test_what_posix_alone_has_is_neither_imported_nor_called_elsewhere() -> None:
    """Modules are imported within `try`; calls are made where the system was asked before."""
    unguarded, called = [], set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if not set(re.findall(r"\w+", text)) & (POSIX_ALONE | CALLS_OF_POSIX):
            continue
        tree = ast.parse(text)
        guarded = {id(node) for tried in ast.walk(tree) if isinstance(tried, ast.Try) for node in ast.walk(tried)}
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if {name.partition(".")[0] for name in names} & POSIX_ALONE and id(node) not in guarded:
                unguarded.append(file.name)
            owner = getattr(getattr(node, "value", None), "id", "")
            if isinstance(node, ast.Attribute) and owner in {"os", "signal"} and node.attr in CALLS_OF_POSIX:
                called.add((file.name, node.attr))
    assert not unguarded
    assert called == PORTABLE


@pytest.mark.parametrize("name", ["memory", "folder_lock", "pipeline.peak_memory", "ending", "atomic_write"])
def test_a_module_is_imported_without_what_posix_alone_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = builtins.__import__

    def guarded(wanted: str, scope: Any = None, *more: Any, **named: Any) -> object:
        if wanted in POSIX_ALONE and (scope or {}).get("__name__") == "anew":
            raise ModuleNotFoundError(f"No module named {wanted!r}")
        return given(wanted, scope, *more, **named)

    monkeypatch.setattr(builtins, "__import__", guarded)
    for signal_name in ("SIGHUP", "SIGKILL"):
        monkeypatch.delattr(signal, signal_name)
    spec = spec_from_file_location("anew", SOURCE.joinpath(*name.split(".")).with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "anew", module)
    spec.loader.exec_module(module)
    assert getattr(module, "resource", None) is getattr(module, "fcntl", None) is None


def test_files_and_folders_are_written_where_folders_cannot_be_opened(
    tmp_path: Path, simulated_windows: Kernel32
) -> None:
    with pytest.raises(PermissionError):
        os.open(tmp_path, os.O_RDONLY)
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    with atomic_files([tmp_path / "b.txt", tmp_path / "c.txt"]) as temporaries:
        for temporary in temporaries:
            temporary.write_text("new")
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "d") as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / "file").write_text(text)
    with locked(tmp_path):
        assert (tmp_path / "d" / "inner" / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt", "c.txt", "d"]


class Held:
    """A file that another program has open for a number of attempts."""

    def __init__(self, attempts: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.slept = attempts, 0.0
        for owner, name in ((Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, self.refusing(getattr(owner, name)))
        monkeypatch.setattr(atomic_write, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def refusing(self, change):
        def refuse(path: Path, *more: object, **named: object) -> object:
            if not Path(path).name.startswith(".") or change.__name__ == "replace":
                self.left -= 1
                if self.left >= 0:
                    raise PermissionError(13, "The process cannot access the file", str(path))
            return change(path, *more, **named)

        return refuse


@pytest.mark.parametrize("what", ["file", "files", "folder", "moved"])
def test_a_file_that_is_open_elsewhere_is_waited_for_and_then_named(
    tmp_path: Path, simulated_windows: Kernel32, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def write(text: str) -> Path:
        path = tmp_path / "kept"
        if what == "file":
            with atomic_file(path) as temporary:
                temporary.write_text(text)
            return path
        if what == "files":
            with atomic_files([tmp_path / "first", path]) as temporaries:
                for temporary in temporaries:
                    temporary.write_text(text)
            return path

        def finish(made: Path, place: Path) -> None:
            move_into(made, place, [], "inner")

        with atomic_folder(path, finish if what == "moved" else None) as folder:
            (folder / "inner").write_text(text)
        return path / "inner"

    write("old")
    with monkeypatch.context() as patched:
        held = Held(2, patched)
        assert write("new").read_text() == "new"
        assert 0 < held.slept < 1
    with monkeypatch.context() as patched:
        held = Held(100, patched)
        with pytest.raises(
            MachineError, match=r"kept.*: another program has it open, or .*; close the program"
        ) as told:
            write("newer")
        assert "\n" not in str(told.value)
        assert 2 < held.slept < 5
    monkeypatch.setattr(windows, "WINDOWS", False)
    with monkeypatch.context() as patched:
        held = Held(100, patched)
        patched.setattr(atomic_write, "fsync", lambda path: None)
        with pytest.raises(MachineError, match="cannot write to"):
            write("newest")
        assert held.slept == 0


def test_memory_and_processes_are_asked_of_the_system(
    tmp_path: Path, simulated_windows: Kernel32, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert memory_bytes() == 16 * GB
    assert peak_memory_mb() == 1024
    simulated_windows.running = {7: True}
    assert [windows.is_alive(process) for process in (7, 8)] == [True, False]
    assert simulated_windows.closed == [7]
    own = temporary_name(tmp_path / "a.csv").name
    for process in ("7", "8"):
        (tmp_path / own.replace(str(os.getpid()), process)).touch()
    clear_litter(tmp_path)
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == [".7"]
    simulated_windows.running = {9: False}  # of another user
    assert windows.is_alive(9)
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(worker_processes, "sleep", lambda seconds: simulated_windows.running.clear())
    simulated_windows.running = {os.getppid(): True}
    worker_processes._end_after(os.getppid())
    assert ended == [1]
