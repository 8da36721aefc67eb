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
from weakmask.volume.nrrd import refuse_faulty_nrrd
from weakmask.volume.payload import AGAIN, CHUNK, LARGE, LARGEST, beside, refuse_bomb

_META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_LONG": 4,
    "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
_BEGINNINGS = {
    ".png": b"\x89PNG\r\n\x1a\n",
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".nrrd": b"NRRD",
    ".nhdr": b"NRRD",
}
_MOST_HEADER = 1 << 20  # bytes
_PNG_NUMBERS = {2: 3, 4: 2, 6: 4}  # colour type -> numbers of a pixel
_MOST_PNG = LARGE // 4  # bytes of pixels; colours are kept as three numbers


def refuse_faulty_file(path: Path, suffix: str, large: int = LARGE) -> None:
    """Check a MetaImage, NRRD, PNG or JPEG file before ITK reads it.

    Args:
        path: An existing file.
        suffix: Its format, as the lower-case suffix.
        large: Bytes that the voxels of any MetaImage or NRRD may unpack to, see `refuse_bomb`.

    Raises:
        UserError: The file is empty, of another format than its name says, truncated or damaged.
    """
    with path.open("rb") as file:
        start = file.read(16)
        if not start:
            raise UserError(f"{path}: the file is empty; {AGAIN}")
        if suffix in _BEGINNINGS and not start.startswith(_BEGINNINGS[suffix]):
            raise UserError(f"{path}: not a {suffix} file (it begins with {start[:8]!r}); correct its name or {AGAIN}")
        file.seek(0)
        try:
            if suffix in (".mha", ".mhd"):
                _check_meta(file, path, large)
            elif suffix in (".nrrd", ".nhdr"):
                refuse_faulty_nrrd(path, large)
            elif suffix == ".png":
                _check_png(file, path)
        except EOFError as error:
            raise UserError(f"{path}: the file is truncated; {AGAIN}") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{path}: the packed data are damaged ({error}); {AGAIN}") from error


def _check_meta(file: IO[bytes], path: Path, large: int) -> None:
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
        raise UserError(f"{path}: not a MetaImage header (missing or unusable: {error}); {AGAIN}") from error
    if len(size) != axes or min(size) < 1:
        raise UserError(f"{path}: DimSize is {size} for {axes} axes; expected {axes} positive numbers; {AGAIN}")
    for name, count in (("ElementSpacing", axes), ("TransformMatrix", axes * axes), ("Offset", axes)):
        if name in fields and not _finite_numbers(fields[name], count):
            raise UserError(
                f"{path}: {name} is {fields[name]!r}; expected {count} finite numbers up to {LARGEST:g}; "
                "correct the header"
            )
    if "-" in fields.get("ElementSpacing", ""):  # ITK would reverse the axis
        raise UserError(
            f"{path}: spacing is {fields['ElementSpacing']} mm; expected positive numbers; correct the header"
        )
    if source.startswith("LIST") or "%" in source or not _is_true(fields, "BinaryData", "True"):
        raise UserError(f"{path}: voxels as text or in a file per slice; save it as one binary file")
    needed = int(np.prod(size, dtype=object)) * bytes_per_number * channels
    data = path if source.upper() == "LOCAL" else beside(path, source)
    if packed_size is not None:
        if packed_size < 0:  # ITK would reserve nearly all memory that there can be
            raise UserError(f"{path}: CompressedDataSize is {packed_size}; expected a positive number; {AGAIN}")
        refuse_bomb(path, needed, data.stat().st_size, large)
    if data == path:
        if packed_size == 0:  # ITK would take the header for voxels
            raise UserError(f"{path}: packed voxels without CompressedDataSize; {AGAIN}")
        _check_payload(file, path, needed, packed_size)
        return
    with data.open("rb") as payload:
        _check_payload(payload, data, needed, packed_size)


def _meta_fields(file: IO[bytes]) -> dict[str, str]:
    """Read the header lines; afterwards the file position is the first byte of local voxels."""
    fields: dict[str, str] = {}
    while len(fields) < 200 and file.tell() < _MOST_HEADER and (line := file.readline(4096)):
        name, equals, value = line.decode("latin-1").partition("=")
        if not line.strip():
            continue
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
    return len(numbers) == count and bool((np.abs(numbers) <= LARGEST).all())


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
        if packed_size > held:
            raise EOFError
        held = _unpacked_size(file, packed_size or held, needed)
    if held < needed or (packed_size is not None and held != needed):  # ITK's buffer has exactly this size
        raise UserError(f"{path}: its header promises {needed} bytes of voxels, it holds {held}; {AGAIN}")


def _unpacked_size(file: IO[bytes], packed_size: int, most: int) -> int:
    """Bytes that packed data (zlib or gzip) unpack to; counting stops once they are more than `most`."""
    unpacker = zlib.decompressobj(wbits=47)  # detects zlib or gzip
    held, left = 0, packed_size
    while not unpacker.eof and held <= most:
        chunk = unpacker.unconsumed_tail
        if not chunk:
            chunk = file.read(min(left, CHUNK))
            left -= len(chunk)
        unpacked = unpacker.decompress(chunk, CHUNK)
        if not chunk and not unpacked:
            raise EOFError
        held += len(unpacked)
    return held


def _check_png(file: IO[bytes], path: Path) -> None:
    """PNG: verify the checksums of all chunks and refuse grey with transparency, which SimpleITK cannot read."""
    data = file.read()
    if len(data) < 26:
        raise EOFError
    at, name = 8, b""
    while name != b"IEND":
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + length
        if len(data) < end + 4:
            raise EOFError
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise UserError(f"{path}: the picture is damaged (checksum of {name!r}); {AGAIN}")
        at = end + 4
    width, height = (int.from_bytes(data[a : a + 4], "big") for a in (16, 20))
    refuse_bomb(path, width * height * max(1, data[24] // 8) * _PNG_NUMBERS.get(data[25], 1), len(data), _MOST_PNG)
    if data[25] == 4:
        raise UserError(f"{path}: grey with transparency; expected grey or colour; save it without the alpha channel")
