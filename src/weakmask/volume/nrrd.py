"""The header of NRRD files: where the voxels are, and whether they are whole.

ITK reads the voxels; it verifies no checksum, opens any file that a detached header names, and may read beyond the end.
Format: teem.sourceforge.net/nrrd/format.html.
"""

import bz2
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.payload import AGAIN, CHUNK, LARGE, LARGEST, beside, read_to_end, refuse_bomb

_BYTES = {
    "signed char": 1, "int8": 1, "int8_t": 1, "uchar": 1, "unsigned char": 1, "uint8": 1, "uint8_t": 1, "short": 2,
    "short int": 2, "signed short": 2, "signed short int": 2, "int16": 2, "int16_t": 2, "ushort": 2,
    "unsigned short": 2, "unsigned short int": 2, "uint16": 2, "uint16_t": 2, "int": 4, "signed int": 4, "int32": 4,
    "int32_t": 4, "uint": 4, "unsigned int": 4, "uint32": 4, "uint32_t": 4, "longlong": 8, "long long": 8,
    "long long int": 8, "signed long long": 8, "signed long long int": 8, "int64": 8, "int64_t": 8, "ulonglong": 8,
    "unsigned long long": 8, "unsigned long long int": 8, "uint64": 8, "uint64_t": 8, "float": 4, "double": 8,
}  # fmt: skip
_PACKED = {"gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_TEXT = ("text", "txt", "ascii", "hex")
_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?|[-+]?inf\b")
_MOST_HEADER = 1 << 24  # bytes; 3D Slicer writes several lines for each segment
_MOST_FIELD = 400  # letters of a line: ITK writes a wrong one into an error of fixed size, and crashes
_UNBOUNDED = ("content", "labels")  # fields that ITK takes at any length
_MOST_FILES = 10_000


@dataclass(frozen=True)
class NrrdHeader:
    """The header of a NRRD file.

    Attributes:
        fields: Field -> value, both as written except that fields are in lower case.
        pairs: Key -> value of the lines `key:=value`.
        end: The byte after the header.
        files: Names after `data file: LIST`.
    """

    fields: dict[str, str]
    pairs: dict[str, str]
    end: int
    files: tuple[str, ...] = ()

    def field(self, name: str, default: str = "") -> str:
        """A field, which may be written with or without its space (`data file`, `datafile`)."""
        return self.fields.get(name, self.fields.get(name.replace(" ", ""), default))


def read_nrrd_header(path: Path) -> NrrdHeader:
    """Read the header of a NRRD file.

    Raises:
        UserError: It is not NRRD, or its header or one of its fields is too long.
    """
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    with path.open("rb") as file:
        if not file.readline(64).startswith(b"NRRD"):
            raise UserError(f"{path}: not a NRRD file; correct its name or {AGAIN}")
        while line := file.readline(_MOST_HEADER):
            text = line.decode("utf-8", errors="replace").strip()
            if not text:
                break
            if file.tell() > _MOST_HEADER:
                raise UserError(f"{path}: its header does not end; {AGAIN}")
            key, field, value = text.partition(":")
            if text.startswith("#"):
                continue
            if not field:
                _refuse_long_field(path, "", text)
                continue
            if value.startswith("="):
                pairs[key.strip()] = value[1:].strip()
                continue
            _refuse_long_field(path, key, text)
            fields[key.strip().lower()] = value.strip()
            if key.strip().lower() in ("data file", "datafile") and value.split()[:1] == ["LIST"]:
                listed = file.read(_MOST_HEADER).decode("utf-8", errors="replace").splitlines()
                return NrrdHeader(fields, pairs, file.tell(), tuple(name.strip() for name in listed if name.strip()))
        return NrrdHeader(fields, pairs, file.tell())


def _refuse_long_field(path: Path, name: str, line: str) -> None:
    if len(line) > _MOST_FIELD and name.strip().lower() not in _UNBOUNDED:
        raise UserError(f"{path}: its header has a line of {len(line)} letters ({line[:30]}...); {AGAIN}")


def refuse_faulty_nrrd(path: Path, large: int = LARGE) -> None:
    """Check that the voxels of a NRRD file are whole, and lie in it or beside it.

    Args:
        path: The file.
        large: Bytes that its voxels may unpack to however small the file is, see `refuse_bomb`.

    Raises:
        UserError: The header is unusable, a data file lies elsewhere, or voxels are missing or damaged.
        EOFError: Packed voxels end too early.
    """
    header = read_nrrd_header(path)
    try:
        sizes = [int(word) for word in header.field("sizes").split()]
        each = _BYTES[header.field("type").lower()]
        lines = int(header.field("line skip", "0"))
        skip = int(header.field("byte skip", "0"))
        count = int(header.field("dimension"))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not a usable NRRD header (missing or unusable: {error}); {AGAIN}") from error
    if len(sizes) != count or min(sizes, default=0) < 1 or lines < 0 or skip < -1:
        raise UserError(f"{path}: sizes are {header.field('sizes')!r}; expected {count} positive numbers; {AGAIN}")
    for name in ("space directions", "space origin", "spacings"):
        if any(abs(float(number)) > LARGEST for number in _NUMBER.findall(header.field(name))):
            raise UserError(f"{path}: {name} has a number above {LARGEST:g}; correct the header")
    needed = int(np.prod(sizes, dtype=object)) * each
    files = _data_files(path, header)
    held = sum(file.stat().st_size for file in files)
    encoding = header.field("encoding").lower()
    if encoding in _TEXT:
        if needed // each > held:
            raise UserError(f"{path}: its header promises {needed // each} numbers, it holds {held} bytes; {AGAIN}")
        return
    refuse_bomb(path, needed, held, large)
    if encoding not in _PACKED and encoding != "raw":
        raise UserError(f"{path}: encoding {encoding[:40]!r}; expected raw or gzip; save it again")
    share, left_over = divmod(needed, len(files))
    if left_over:
        raise UserError(f"{path}: {needed} bytes of voxels do not fill {len(files)} files evenly; {AGAIN}")
    for file in files:
        start = header.end if file == path else 0
        with file.open("rb") as raw:
            raw.seek(start)
            for _ in range(lines):
                raw.readline(_MOST_HEADER)
            _check_voxels(raw, file, max(0, skip) + share, _PACKED.get(encoding))


def _data_files(path: Path, header: NrrdHeader) -> list[Path]:
    """The files that hold the voxels: the file itself, one beside it, a list, or a numbered pattern."""
    stated = header.field("data file")
    if not stated:
        return [path]
    names = list(header.files)
    words = stated.split()
    if words[0] != "LIST":
        names = [stated]
        if "%" in stated and len(words) >= 4:
            names = _numbered(path, words)
    if not 1 <= len(names) <= _MOST_FILES:
        raise UserError(f"{path}: its voxels are in {len(names)} files; expected 1 to {_MOST_FILES}; save it as one")
    return [beside(path, name) for name in names]


def _numbered(path: Path, words: list[str]) -> list[str]:
    """The names of a pattern `slice%03d.raw 1 20 1`."""
    usual = re.fullmatch(r"[^%]*%0?\d{0,2}d[^%]*", words[0])
    if not usual or not all(re.fullmatch(r"-?\d{1,9}", word) for word in words[1:4]) or int(words[3]) == 0:
        raise UserError(f"{path}: its data file is {' '.join(words)[:80]!r}; expected a name; save it as one file")
    first, last, step = map(int, words[1:4])
    numbers = range(first, last + (1 if step > 0 else -1), step)
    return [words[0] % number for number in numbers[: _MOST_FILES + 1]]


def _check_voxels(raw: IO[bytes], path: Path, needed: int, packing: str | None) -> None:
    """Check that a file holds the voxels from its position on, and nothing much behind them."""
    if packing is None:
        held = path.stat().st_size - raw.tell()
        if held < needed:
            raise UserError(f"{path}: its header promises {needed} bytes of voxels, it holds {held}; {AGAIN}")
        return
    with _unpacked(raw, packing) as stream:
        held = 0
        while held < needed and (chunk := stream.read(min(CHUNK, needed - held))):
            held += len(chunk)
        if held < needed:
            raise UserError(f"{path}: its header promises {needed} bytes of voxels, it holds {held}; {AGAIN}")
        read_to_end(stream, path)


@contextmanager
def _unpacked(raw: IO[bytes], packing: str) -> Iterator[gzip.GzipFile | bz2.BZ2File]:
    """The unpacked stream of a file."""
    try:
        if packing == "gzip":
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream
        else:
            with bz2.BZ2File(raw) as stream:
                yield stream
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise zlib.error(str(error)) from error  # bz2 raises a bare OSError
