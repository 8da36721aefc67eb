"""Bounds on what a file may unpack to, and on where its voxels may lie."""

from io import BufferedIOBase
from pathlib import Path

from weakmask.errors import UserError

LARGE = 1 << 29  # bytes: 1000 slices of 512 x 512 in 16 bits
LARGE_LABELS = 3 << 28  # bytes: 384 slices of 512 x 512 in 64 bits; ITK takes twice as many
LARGE_LABELS_IN_PARTS = 1 << 31  # bytes; read a few at a time, they take less memory
_MOST_RATIO = 100  # of a large volume; a CT packs 2 to 4 to 1, a mask of it 200 to 1, in 64 bits even 1000 to 1
LARGEST = 1e9  # of the numbers of a grid; with 1e308, ITK inverts a matrix without end, or takes 1 mm
MOST_BEHIND = 1 << 24  # bytes behind the voxels
CHUNK = 1 << 22  # bytes
AGAIN = "copy or export it again"


def refuse_bomb(path: Path, needed: int, held: int, large: int = LARGE) -> None:
    """Refuse a small file that unpacks to a huge volume, before memory is allocated.

    Args:
        path: The file, for the message.
        needed: Bytes of voxels that its header promises.
        held: Bytes of the file.
        large: Bytes that any file may unpack to.

    Raises:
        UserError: It would unpack to more than that, and to more than a hundred times its size.
    """
    if needed > large and needed > _MOST_RATIO * held:
        raise UserError(
            f"{path}: {held} bytes that unpack to {needed}; expected at most {_MOST_RATIO} times as many; {AGAIN}, a "
            "mask as whole numbers of 8 bits"
        )


def beside(header: Path, name: str) -> Path:
    """The file with the voxels of a header; it must lie in the header's folder or in one inside.

    Args:
        header: The header file.
        name: The data file, as the header calls it.

    Raises:
        UserError: The name leads to another place, or to no file.
    """
    data = header.parent / name
    homes = {header.parent.resolve(), header.resolve().parent}
    if not any(data.resolve().is_relative_to(home) for home in homes):
        raise UserError(f"{header}: its voxels are in {name[:200]!r}; expected a file beside it; copy it there")
    if not data.is_file():
        raise UserError(f"{header}: its voxels are in {name[:200]}, which is not beside it; copy both files")
    return data


def read_to_end(stream: BufferedIOBase, path: Path) -> None:
    """Read the rest of a stream, so that gzip verifies its checksum.

    Raises:
        UserError: More than 16 MB follow.
    """
    rest = 0
    while chunk := stream.read(CHUNK):
        rest += len(chunk)
        if rest > MOST_BEHIND:
            raise UserError(f"{path}: more data follow behind its voxels; {AGAIN}")
