"""Whether a run would be tested on images that it was trained on: by name and by content."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from weakmask.errors import UserError, refuse_machine_fault

MOST_NAMES = 5  # in a message


def refuse_seen(training: Mapping[str, Path], tested: Mapping[str, Path]) -> None:
    """Refuse test images that are among the training images, by name or by content.

    Args:
        training: Name -> image file or DICOM folder.
        tested: Likewise.

    Raises:
        UserError: Such images, in one line with their names; or a file that cannot be read.
    """
    seen = seen_scans(training, tested)
    if seen:
        names = ", ".join(seen[:MOST_NAMES]) + (f" and {len(seen) - MOST_NAMES} more" if len(seen) > MOST_NAMES else "")
        raise UserError(
            f"data.test holds images that are trained on, by name or content: {names}; take them out of one cohort, "
            "rename them if they only share a name, or set data.seen to true, and the report will say so"
        )


def seen_scans(training: Mapping[str, Path], tested: Mapping[str, Path]) -> list[str]:
    """The names of the test images that are among the training images, in order.

    Only images of equal size are compared by content, so that few of a large cohort are read.
    """
    digests = _Digests()
    by_size: dict[int, list[Path]] = {}
    for path in training.values():
        by_size.setdefault(digests.size(path), []).append(path)
    return [
        name
        for name, path in tested.items()
        if name in training
        or any(digests.of(path) == digests.of(other) for other in by_size.get(digests.size(path), []))
    ]


def image_digest(path: Path) -> str:
    """SHA-256 of an image file; of a DICOM folder, of the digests of its files, whatever these are called.

    Raises:
        UserError: A file cannot be read.
    """
    parts = sorted(_file_digest(file) for file in _files(path))
    return parts[0] if path.is_file() else hashlib.sha256("".join(parts).encode()).hexdigest()


class _Digests:
    """Sizes and digests, each computed once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """The digest of an image."""
        if path not in self._known:
            self._known[path] = image_digest(path)
        return self._known[path]

    @staticmethod
    def size(path: Path) -> int:
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
