"""Whether a run would be tested on images that it was trained on: by name and by content.

Two files of one scan may differ in every byte: as DICOM and NIfTI, packed and not, stored as LPS and RAS. Images
that may have equal sizes are therefore also compared by their voxels, in one order of axes.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from weakmask.errors import UserError, refuse_machine_fault
from weakmask.outgoing_text import some_of
from weakmask.progress import collected_notes
from weakmask.volume.files import read_volume
from weakmask.volume.itk import stated_sizes
from weakmask.volume.scan_files import ScanFile
from weakmask.volume.storage_order import upright

MOST_NAMES = 5  # in a message


def refuse_seen(training: Mapping[str, ScanFile], tested: Mapping[str, ScanFile]) -> None:
    """Refuse test images that are among the training images, by name or by content.

    Args:
        training: Name -> image, with the series of a DICOM folder that holds several.
        tested: Likewise.

    Raises:
        UserError: Such images, in one line with their names; or a file that cannot be read.
    """
    seen = seen_scans(training, tested)
    if seen:
        names = some_of(seen, MOST_NAMES)
        raise UserError(
            f"data.test holds images that are trained on, by name or content: {names}; take them out of one cohort, "
            "rename them if they only share a name, or set data.seen to true, and the report will say so"
        )


def seen_scans(training: Mapping[str, ScanFile], tested: Mapping[str, ScanFile]) -> list[str]:
    """The names of the test images that are among the training images, in order.

    Voxels are read of images whose header states the sizes of an image of the other cohort, and of DICOM folders. An
    image that cannot be read is compared by its bytes alone.
    """
    contents = _Contents()
    return [
        name
        for name, scan in tested.items()
        if name in training or any(contents.equal(scan, other) for other in training.values())
    ]


def image_digest(path: Path) -> str:
    """SHA-256 of an image file; of a DICOM folder, of the digests of its files, whatever these are called.

    Raises:
        UserError: A file cannot be read.
    """
    parts = sorted(_file_digest(file) for file in _files(path))
    return parts[0] if path.is_file() else hashlib.sha256("".join(parts).encode()).hexdigest()


def voxel_digest(scan: ScanFile) -> str | None:
    """SHA-256 of an image's values and their number along each axis, whatever its format and storage order.

    None: an image that cannot be read, or does not fit in memory.
    """
    try:
        with collected_notes():
            image = upright(read_volume(scan.path, series=scan.series))
    except (UserError, MemoryError):
        return None
    digest = hashlib.sha256(str(image.voxels.shape).encode())
    for part in image.voxels:
        digest.update(np.ascontiguousarray(part, np.float32).tobytes())
    return digest.hexdigest()


class _Contents:
    """Sizes and digests of images, each computed once and only where it is needed."""

    def __init__(self) -> None:
        self._bytes, self._sizes = cache(_size), cache(stated_sizes)
        self._of_bytes, self._of_voxels = cache(image_digest), cache(voxel_digest)

    def equal(self, one: ScanFile, other: ScanFile) -> bool:
        """Whether two images have the same bytes or the same voxels."""
        whole = one.series is None and other.series is None
        if whole and self._equal_bytes(one.path, other.path):
            return True
        sizes = {self._sizes(one.path), self._sizes(other.path)}
        if len(sizes) > 1 and None not in sizes:
            return False
        return self._of_voxels(one) is not None and self._of_voxels(one) == self._of_voxels(other)

    def _equal_bytes(self, one: Path, other: Path) -> bool:
        return self._bytes(one) == self._bytes(other) and self._of_bytes(one) == self._of_bytes(other)


def _size(path: Path) -> int:
    """The size of an image in bytes, of all its files."""
    return sum(file.stat().st_size for file in _files(path))


def _files(path: Path) -> list[Path]:
    """A file, or all files below a folder."""
    return [path] if not path.is_dir() else [file for file in path.rglob("*") if file.is_file()]


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        refuse_machine_fault(error, path)
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
