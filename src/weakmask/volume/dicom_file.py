"""Reads DICOM files by pydicom, and never more bytes than they hold; makes their bytes."""

import io
from pathlib import Path

import pydicom


def read_dataset(
    path: Path,
    *,
    pixels: bool = True,
    only: list[str] | None = None,
    force: bool = False,
) -> pydicom.Dataset:
    """The elements of a DICOM file.

    pydicom asks for as many bytes as a length in the file says, up to 4 GB, and Python reserves them before it reads. A
    damaged length would therefore look like a lack of memory; here it looks like the end of the file.

    Args:
        path: The file.
        pixels: Whether to read the pixels, too.
        only: Names of the elements to read; None: all.
        force: Whether to read a file without the marker `DICM`.

    Raises:
        OSError: The file cannot be read.
        Exception: It is damaged; pydicom raises nearly anything.
    """
    with _BoundedFile(io.FileIO(path)) as file:
        return pydicom.dcmread(file, stop_before_pixels=not pixels, specific_tags=only, force=force)


def file_bytes(data: pydicom.Dataset, *, complete: bool) -> bytes:
    """The content of a DICOM file, to be written by the caller: pydicom hides the number of a disk's error.

    Args:
        data: The elements.
        complete: Whether to add elements of the file's head that the standard asks for, as in a new object.
    """
    content = io.BytesIO()
    data.save_as(content, enforce_file_format=complete)
    return content.getvalue()


class _BoundedFile(io.BufferedReader):
    """A file whose `read` reserves no more bytes than are left."""

    def __init__(self, raw: io.FileIO) -> None:
        """Note the size."""
        super().__init__(raw)
        self._end = self.seek(0, io.SEEK_END)
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """At most as many bytes as are left."""
        left = max(self._end - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))
