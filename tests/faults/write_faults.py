"""A file system at fault, for tests: the n-th operation that writes below a folder fails, or the process dies there."""

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from weakmask.volume import files

Kind = Literal["none", "ENOSPC", "EIO", "kill"]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass
class Faults:
    """Counts the operations that write below a folder, and lets one fail.

    ENOSPC lasts: a full disk stays full. EIO strikes once, so that a fault which is swallowed shows in the result.

    Attributes:
        folder: Operations below it count.
        position: The operation at fault, from 1.
        kind: The fault; `none` only counts.
        done: The operations so far: opening, writing, fsync, mkdir, rename, link.
    """

    folder: Path
    position: int = 0
    kind: Kind = "none"
    done: list[str] = field(default_factory=list)

    def below(self, path: Any) -> bool:
        """Whether a path or a descriptor is of a file below the folder."""
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        return isinstance(path, str | os.PathLike) and Path(os.fspath(path)).absolute().is_relative_to(self.folder)

    def meet(self, what: str, path: Any) -> None:
        """Count one operation, and fail where it is its turn."""
        if not self.below(path):
            return
        self.done.append(f"{what} {path}")
        here = len(self.done)
        if self.kind == "kill" and here == self.position:
            os.kill(os.getpid(), signal.SIGKILL)
        lasts = self.kind == "ENOSPC" and here >= self.position
        if lasts or (self.kind == "EIO" and here == self.position):
            number = getattr(errno, self.kind)
            named = () if what == "write" or isinstance(path, int) else (str(path),)
            raise OSError(number, os.strerror(number), *named)

    def opened(self, real: Callable[..., Any], file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        """`open`, whose file counts every write."""
        if isinstance(file, int) or not set(mode) & set("wax+") or not self.below(file):
            return real(file, mode, *rest, **named)
        self.meet("open", file)
        arguments = dict(zip(("buffering", "encoding", "errors", "newline"), rest, strict=False)) | named
        raw = CountingFile(self, file, mode.replace("b", "").replace("t", ""))
        if arguments.get("buffering") == 0:
            return raw
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffer
        encoding, errors, newline = (arguments.get(name) for name in ("encoding", "errors", "newline"))
        return io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=arguments.get("buffering") == 1)


class CountingFile(io.FileIO):
    """A file whose writes are counted."""

    def __init__(self, faults: Faults, file: Any, mode: str) -> None:
        super().__init__(file, mode)
        self.faults, self.path = faults, file

    def write(self, data: Any) -> int:
        self.faults.meet("write", self.path)
        return super().write(data)


@contextmanager
def write_faults(folder: Path, position: int = 0, kind: Kind = "none") -> Iterator[Faults]:
    """Let the operation at a position fail, inside the block."""
    faults = Faults(folder.absolute(), position, kind)
    real_open, real_descriptor, real_itk = io.open, os.open, files.write_by_itk

    def opened(*arguments: Any, **named: Any) -> Any:
        return faults.opened(real_open, *arguments, **named)

    def descriptor(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & WRITING:
            faults.meet("open", path)
        return real_descriptor(path, flags, *rest, **named)

    def by_itk(image: Any, path: Path, suffix: str) -> None:
        try:
            faults.meet("write", path)
        except OSError as error:
            raise RuntimeError(f"ITK cannot write: {error}") from error
        real_itk(image, path, suffix)

    def before(name: str, place: int) -> Any:
        real = getattr(os, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            faults.meet(name, arguments[place])
            return real(*arguments, **named)

        return patch.object(os, name, counted)

    with (
        patch.object(builtins, "open", opened),
        patch.object(io, "open", opened),
        patch.object(os, "open", descriptor),
        patch.object(files, "write_by_itk", by_itk),
        before("mkdir", 0),
        before("rename", 1),
        before("replace", 1),
        before("link", 1),
        before("fsync", 0),
    ):
        yield faults
