"""Checks for faults of image files that ITK does not report.

ITK reads a compressed MetaImage or NRRD without verifying its checksum, may decompress beyond the end of its buffer,
and reverses an axis of negative spacing. These checks run before ITK reads the file.
"""

import gzip
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from weakmask.errors import UserError

_META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_LONG": 4,
    "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
_BEGINNINGS = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".nrrd": b"NRRD"}
_CHUNK = 1 << 22  # bytes
_AGAIN = "copy or export it again"


def refuse_faulty_file(path: Path, suffix: str) -> None:
    """Check a MetaImage, NRRD, PNG or JPEG file before ITK reads it.

    Args:
        path: An existing file.
        suffix: Its format, as the lower-case suffix.

    Raises:
        UserError: The file is empty, of another format than its name says, truncated or damaged.
    """
    with path.open("rb") as file:
        start = file.read(16)
        if not start:
            raise UserError(f"{path}: the file is empty; {_AGAIN}")
        if suffix in _BEGINNINGS and not start.startswith(_BEGINNINGS[suffix]):
            raise UserError(f"{path}: not a {suffix} file (it begins with {start[:8]!r}); correct its name or {_AGAIN}")
        file.seek(0)
        try:
            if suffix in (".mha", ".mhd"):
                _check_meta(file, path)
            elif suffix == ".nrrd":
                _check_nrrd(file)
            elif suffix == ".png":
                _check_png(file, path)
        except EOFError as error:
            raise UserError(f"{path}: the file is truncated; {_AGAIN}") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{path}: the packed data are damaged ({error}); {_AGAIN}") from error


def _check_meta(file: IO[bytes], path: Path) -> None:
    """MetaImage: check that the header has all needed fields and that no voxels are missing."""
    fields = _meta_fields(file)
    try:
        axes = int(fields["NDims"])
        size = [int(n) for n in fields["DimSize"].split()]
        bytes_per_number = _META_BYTES[fields["ElementType"]]
        source = fields["ElementDataFile"]
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        packed_size = int(fields.get("CompressedDataSize", "0")) if _is_true(fields, "CompressedData") else None
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not a MetaImage header (missing or unusable: {error}); {_AGAIN}") from error
    if len(size) != axes or min(size) < 1:
        raise UserError(f"{path}: DimSize is {size} for {axes} axes; expected {axes} positive numbers; {_AGAIN}")
    for name, count in (("ElementSpacing", axes), ("TransformMatrix", axes * axes), ("Offset", axes)):
        if name in fields and not _finite_numbers(fields[name], count):
            raise UserError(f"{path}: {name} is {fields[name]!r}; expected {count} finite numbers; correct the header")
    if "-" in fields.get("ElementSpacing", ""):  # ITK would reverse the axis
        raise UserError(
            f"{path}: spacing is {fields['ElementSpacing']} mm; expected positive numbers; correct the header"
        )
    if source.startswith("LIST") or "%" in source or not _is_true(fields, "BinaryData", "True"):
        raise UserError(f"{path}: voxels as text or in a file per slice; save it as one binary file")
    needed = int(np.prod(size, dtype=object)) * bytes_per_number * channels
    if source.upper() == "LOCAL":
        if packed_size == 0:  # ITK would take the header for voxels
            raise UserError(f"{path}: packed voxels without CompressedDataSize; {_AGAIN}")
        _check_payload(file, path, needed, packed_size)
        return
    data = path.parent / source
    if not data.is_file():
        raise UserError(f"{path}: its voxels are in {source}, which is not beside it; copy both files")
    with data.open("rb") as payload:
        _check_payload(payload, data, needed, packed_size)


def _meta_fields(file: IO[bytes]) -> dict[str, str]:
    """Read the header lines; afterwards the file position is the first byte of local voxels."""
    fields: dict[str, str] = {}
    while len(fields) < 200 and (line := file.readline(4096)):
        name, equals, value = line.decode("latin-1").partition("=")
        if not equals:
            break
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    return fields


def _finite_numbers(text: str, count: int) -> bool:
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return False
    return len(numbers) == count and bool(np.isfinite(numbers).all())


def _is_true(fields: dict[str, str], name: str, default: str = "False") -> bool:
    return fields.get(name, default).lower().startswith(("t", "1"))


def _check_payload(file: IO[bytes], path: Path, needed: int, packed_size: int | None) -> None:
    """Check that `needed` bytes of decompressed voxels follow the current file position.

    Args:
        file: The open file.
        path: Its name, for the error message.
        needed: Bytes of voxels.
        packed_size: Compressed bytes; 0 for all that follow; None for uncompressed voxels.
    """
    held = path.stat().st_size - file.tell()
    if packed_size is not None:
        left, held_packed, held = packed_size or held, held, 0
        unpacker = zlib.decompressobj(wbits=47)  # detects zlib or gzip
        while not unpacker.eof and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            held += len(unpacker.decompress(chunk))
        if not unpacker.eof or packed_size > held_packed:
            raise EOFError
    if held < needed or (packed_size is not None and held != needed):  # ITK's buffer has exactly this size
        raise UserError(f"{path}: its header promises {needed} bytes of voxels, it holds {held}; {_AGAIN}")


def _check_nrrd(file: IO[bytes]) -> None:
    """NRRD: verify the checksum of compressed voxels; ITK itself counts the voxels."""
    fields: dict[str, str] = {}
    while len(fields) < 200 and (line := file.readline(4096).strip()):
        name, _, value = line.decode("latin-1").partition(":")
        fields[name.strip().lower()] = value.strip().lower()
    detached = "data file" in fields or "datafile" in fields
    if fields.get("encoding") in ("gzip", "gz") and not detached:
        with gzip.GzipFile(fileobj=file) as stream:
            while stream.read(_CHUNK):
                pass


def _check_png(file: IO[bytes], path: Path) -> None:
    """PNG: verify the checksums of all chunks and refuse grey with transparency, which SimpleITK cannot read."""
    data = file.read()
    at, name = 8, b""
    while name != b"IEND":
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + length
        if len(data) < end + 4:
            raise EOFError
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise UserError(f"{path}: the picture is damaged (checksum of {name!r}); {_AGAIN}")
        at = end + 4
    if data[25] == 4:
        raise UserError(f"{path}: grey with transparency; expected grey or colour; save it without the alpha channel")
