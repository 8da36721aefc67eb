"""Which scans a path stands for, and whether their results can be written without a loss."""

from collections.abc import Iterable
from pathlib import Path

from weakmask.atomic_write import unwritable
from weakmask.errors import UserError
from weakmask.volume.files import IMAGE_SUFFIXES


def all_scans(paths: list[Path]) -> list[Path]:
    """The scans that several paths stand for.

    Raises:
        UserError: A path is not there, or none of them holds a scan.
    """
    found = [scan for path in paths for scan in find_scans(path)]
    if not found:
        raise UserError(f"no scan in {', '.join(map(str, paths))}; expected images or folders of DICOM files")
    return found


def find_scans(path: Path) -> list[Path]:
    """The scans a path stands for: a file, a folder of DICOM files, or all of both kinds inside a folder.

    Raises:
        UserError: Nothing there.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a scan")
    if path.is_file():
        return [path]
    if _holds_dicom(path):
        return [path]
    scans = [p for p in sorted(path.iterdir()) if p.is_file() and p.name.lower().endswith(tuple(IMAGE_SUFFIXES))]
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        scans += find_scans(folder)
    return scans


def _holds_dicom(folder: Path) -> bool:
    """Whether DICOM files lie directly in a folder: by suffix, or by the four letters of the preamble."""
    for file in folder.iterdir():
        if not file.is_file():
            continue
        if file.suffix.lower() == ".dcm":
            return True
        if not file.suffix or file.suffix[1:].isdigit():
            with file.open("rb") as opened:
                if opened.read(132)[128:] == b"DICM":
                    return True
    return False


def refuse_replacing(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuse results that would take the place of what they are made from, whatever links lead there.

    Args:
        inputs: Files and folders that are read.
        outputs: Files to write.

    Raises:
        UserError: An output is one of the inputs.
    """
    read = {_identity(path) for path in inputs}
    for file in outputs:
        if file.exists() and _identity(file) in read:
            raise UserError(f"{file}: is read here, and a result would replace it; choose another folder for --out")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def open_output(out: Path) -> bool:
    """Find out before the work whether the folder can be written; returns whether it was made now."""
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".weakmask"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(unwritable(out, error)) from error
    return created
