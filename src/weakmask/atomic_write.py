"""Atomic writing of files and folders: written under a temporary name, fsynced, renamed.

A temporary name is `.PID-MACHINE.NAME`. Files that a killed process leaves under such names are removed by the next
process that writes into the same folder on the same machine.
"""

import errno
import hashlib
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from time import sleep

from weakmask import windows
from weakmask.errors import MachineError

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between attempts
LONGEST_NAME = 255  # bytes, on most file systems
_NOT_OF_WRITING = {None, errno.ENOMEM, errno.EMFILE, errno.ENFILE}  # None: a library's, about a file's content
_TEMPORARY = re.compile(r"\.(\d+)-([0-9a-f]{8})\..+", re.DOTALL)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed to `path`, on failure removed.

    The temporary name keeps the suffixes of `path`, because image writers choose the format from them.

    Raises:
        MachineError: The folder or the file cannot be written.
    """
    with atomic_files((path,)) as (temporary,):
        yield temporary


@contextmanager
def atomic_files(paths: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Yield temporary paths of files that belong together; none is renamed before all are on the disk.

    Older files of these names are removed before the first is renamed, so that a kill leaves no mixture of both.

    Args:
        paths: Files of one folder.

    Raises:
        MachineError: The folder or a file cannot be written.
    """
    folder, temporaries = paths[0].parent, tuple(temporary_name(path) for path in paths)
    with writing_into(folder):
        folder.mkdir(parents=True, exist_ok=True)
        clear_litter(folder)
        try:
            for temporary in temporaries:
                with temporary.open("wb"):
                    pass
            yield temporaries
            for temporary in temporaries:
                fsync(temporary)
            for path in paths[1:]:  # the first one is replaced
                _patiently(path, partial(path.unlink, missing_ok=True))
            for temporary, path in zip(temporaries, paths, strict=True):
                _replace(temporary, path)
            fsync(folder)
        finally:
            for temporary in temporaries:
                with suppress(OSError):  # the first fault is the one to report
                    temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, finish: Callable[[Path, Path], None] | None = None) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it is fsynced and renamed to `path`, replacing it.

    Args:
        path: The folder to write.
        finish: Puts the temporary folder (first argument) in the place of the path (second); None: `finish_folder`.

    Raises:
        MachineError: The parent folder, or a file in the new one, cannot be written.
    """
    temporary = temporary_name(path)
    with writing_into(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_litter(path.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir()
            yield temporary
            (finish or finish_folder)(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder inside a folder, for files that are removed at the end.

    Raises:
        MachineError: The folder cannot be written.
    """
    temporary = temporary_name(folder / "scratch")
    with writing_into(folder):
        folder.mkdir(parents=True, exist_ok=True)
        clear_litter(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir()
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Turn a system's error while files are written into a folder into one line.

    An error about a file elsewhere, which was read meanwhile, passes unchanged.

    Raises:
        MachineError: The folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        elsewhere = isinstance(error.filename, str | os.PathLike) and not _within(Path(error.filename), folder)
        if elsewhere or error.errno in _NOT_OF_WRITING:
            raise
        raise MachineError(unwritable(folder, error)) from error


def finish_folder(temporary: Path, path: Path) -> None:
    """Fsync a finished temporary folder and rename it, replacing an older folder of that name."""
    for file in temporary.rglob("*"):
        fsync(file)
    fsync(temporary)
    if path.exists():
        _patiently(path, partial(shutil.rmtree, path))
    _replace(temporary, path)
    fsync(path.parent)


def move_into(temporary: Path, path: Path, old: Sequence[str], last: str) -> None:
    """Put a finished temporary folder in the place of one that may hold other people's files, which stay.

    The folder is renamed where nothing else lies in the old one. Else its entries are moved one by one, so that the
    folder is complete once it holds the last of them.

    Args:
        temporary: The finished folder.
        path: The folder to replace; it may be absent.
        old: Names of the entries of the old folder that go.
        last: The entry that goes first and comes last.
    """
    for file in temporary.rglob("*"):
        fsync(file)
    fsync(temporary)
    for entry in [path / name for name in (last, *old)]:
        is_folder = entry.is_dir() and not entry.is_symlink()
        _patiently(entry, partial(shutil.rmtree, entry) if is_folder else partial(entry.unlink, missing_ok=True))
    with suppress(OSError):  # other files stay
        path.rmdir()
    if not path.exists():
        _replace(temporary, path)
        fsync(path.parent)
        return
    for entry in sorted(temporary.iterdir(), key=lambda entry: entry.name == last):
        _replace(entry, path / entry.name)
    fsync(path)
    temporary.rmdir()


def fsync(path: Path) -> None:
    """Flush a file or a folder to the disk; Windows flushes what is open for writing, and no folders."""
    if windows.WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows.WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(temporary: Path, path: Path) -> None:
    """Rename a file or a folder, replacing an older one of that name."""
    _patiently(path, partial(temporary.replace, path))


def _patiently(path: Path, change: Callable[[], object]) -> None:
    """Change a file or a folder; Windows refuses while a program has it open, a virus scanner for a moment.

    Args:
        path: The file or folder, for the message.
        change: The change.

    Raises:
        MachineError: Under Windows it stays open for about 3 s.
        OSError: Anything else.
    """
    for pause in PAUSES if windows.WINDOWS else ():
        with suppress(PermissionError):
            change()
            return
        sleep(pause)
    try:
        change()
    except PermissionError as error:
        if not windows.WINDOWS:
            raise
        raise MachineError(
            f"{path}: another program has it open, or it is protected; close the program and repeat the command"
        ) from error


def unwritable(folder: Path, error: OSError) -> str:
    """Error message for a folder that cannot be written."""
    reason = error.strerror or str(error)
    return f"cannot write to {folder}: {reason}; choose a folder that you may write to and that has space"


def temporary_name(path: Path) -> Path:
    """The temporary path beside a path; it ends as the path's name does, and is not too long where that is."""
    start = f".{os.getpid()}-{_machine()}."
    name = path.name
    if len(os.fsencode(start + name)) > LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}{name[-20:]}"  # 20 characters are up to 80 bytes
    return path.with_name(start + name)


@lru_cache(maxsize=4096)
def clear_litter(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes of this machine left in a folder; once a process.

    Args:
        folder: The folder; folders in it are not looked into.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            named = _TEMPORARY.fullmatch(path.name)
            if named is None or named[2] != _machine() or _is_alive(int(named[1])):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _machine() -> str:
    """A mark of this machine, and of this container: process numbers mean something only there."""
    spaces = Path("/proc/self/ns/pid")
    space = os.readlink(spaces) if spaces.is_symlink() else ""  # noqa: PTH115 - the link names no file
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if windows.WINDOWS:
        return windows.is_alive(process)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user, or no process number at all
        return True
    return True


def _within(path: Path, folder: Path) -> bool:
    return path.absolute().is_relative_to(folder.absolute())
