"""Atomic writing of files and folders: written under a temporary name, fsynced, renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weakmask.errors import UserError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed to `path`, on failure removed.

    The temporary name keeps the suffixes of `path`, because image writers choose the format from them.

    Raises:
        UserError: The folder cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb"):
            pass
    except OSError as error:
        raise UserError(unwritable(path.parent, error)) from error
    try:
        yield temporary
        fsync(temporary)
        temporary.replace(path)
        fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it is fsynced and renamed to `path`, replacing it.

    Raises:
        UserError: The parent folder cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
    except OSError as error:
        raise UserError(unwritable(path.parent, error)) from error
    try:
        yield temporary
        finish_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def finish_folder(temporary: Path, path: Path) -> None:
    """Fsync a finished temporary folder and rename it, replacing an older folder of that name."""
    for file in temporary.rglob("*"):
        fsync(file)
    fsync(temporary)
    if path.exists():
        shutil.rmtree(path)
    temporary.replace(path)
    fsync(path.parent)


def fsync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(folder: Path, error: OSError) -> str:
    """Error message for a folder that cannot be written."""
    reason = error.strerror or str(error)
    return f"cannot write to {folder}: {reason}; choose a folder that you may write to and that has space"
