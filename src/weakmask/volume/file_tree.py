"""The files below a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

from weakmask.errors import UserError, refuse_machine_fault


def folders_below(folder: Path, closed: Callable[[Path], bool] | None = None) -> Iterator[tuple[Path, list[Path]]]:
    """Walk a folder and the folders in it; links are followed, and a folder that several links reach comes once.

    Args:
        folder: Where to begin.
        closed: Whether a folder is a file of a kind: it comes without entries, and is not entered. None: none is.

    Yields:
        A folder, and its visible entries that are not folders (files, pipes, links that lead nowhere), by name.

    Raises:
        UserError: A folder cannot be listed.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        if closed is not None and closed(place):
            yield place, []
            continue
        try:
            status = place.stat()
            entries = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        except OSError as error:
            refuse_machine_fault(error, place)
            raise UserError(f"{place}: cannot be listed ({error.strerror}); check its permissions") from error
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        folders = [path for path in entries if path.is_dir()]
        yield place, [path for path in entries if not path.is_dir()]
        waiting += reversed(folders)
