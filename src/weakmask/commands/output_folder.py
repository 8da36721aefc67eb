"""Folders that results are written into: nothing that the user brought is ever replaced.

A command leaves a record of the files that it wrote, so that the same command may write them again.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weakmask.atomic_write import atomic_file, writing_into
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.pipeline import provenance


@dataclass(frozen=True)
class OutputFolder:
    """A folder that a command may write its files into.

    Attributes:
        folder: The folder.
        created: Whether the command made it.
        record: The file that lists what the command wrote.
    """

    folder: Path
    created: bool
    record: Path

    def forget(self) -> None:
        """Remove the folder if the command made it and wrote nothing; else the record says whose the files are."""
        if not self.created:
            return
        with suppress(OSError):
            folders = sorted((path for path in self.folder.rglob("*") if path.is_dir()), reverse=True)
            for path in folders:  # those that hold nothing
                with suppress(OSError):
                    path.rmdir()
            if set(self.folder.iterdir()) <= {self.record}:
                self.record.unlink(missing_ok=True)
                self.folder.rmdir()


def open_output(folder: Path, command: str, files: Iterable[Path], inputs: Iterable[Path] = ()) -> OutputFolder:
    """Make sure, before any work, that files can be written without replacing anything of the user's.

    Args:
        folder: The folder; it is made if absent.
        command: The verb; its record is `COMMAND.json` in the folder.
        files: The files that it may write.
        inputs: Files and folders that it reads; none of them is replaced, whatever links lead to it.

    Raises:
        UserError: A file exists that this command did not write.
        MachineError: The folder cannot be written.
    """
    record, created, files = folder / f"{command}.json", not folder.exists(), list(files)
    own, read = _written(record), {_identity(path) for path in inputs if path.exists()}
    for file in files:
        if file.exists() and _identity(file) in read:
            raise UserError(f"{file}: is an input, and a result would replace it; choose another folder for --out")
        if file.exists() and str(file.relative_to(folder)) not in own:
            raise UserError(
                f"{file}: exists and was not written by `weakmask {command}`; choose another folder for --out"
            )
    with writing_into(folder), atomic_file(record) as temporary:
        listed = sorted(own | {str(file.relative_to(folder)) for file in files})
        temporary.write_text(json.dumps({**provenance(), "files": listed}, indent=2) + "\n", encoding="utf-8")
    return OutputFolder(folder, created, record)


def _written(record: Path) -> set[str]:
    """The files that a record lists; none without a readable record."""
    try:
        return set(json.loads(record.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        refuse_machine_fault(error, record)
        return set()


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
