"""Which scans a path stands for, and whether their results can be written without a loss."""

from collections.abc import Iterable
from pathlib import Path

from rich.markup import escape

from weakmask.atomic_write import unwritable
from weakmask.errors import UserError
from weakmask.progress import console
from weakmask.volume.files import IMAGE_SUFFIXES, scan_name


def all_scans(paths: list[Path]) -> list[Path]:
    """The scans that several paths stand for.

    Raises:
        UserError: A path is not there, or none of them holds a scan.
    """
    found = [scan for path in paths for scan in find_scans(path)]
    if not found:
        raise UserError(f"no scan in {', '.join(map(str, paths))}; expected images or folders of DICOM files")
    return found


def distinct_scans(found: list[Path]) -> tuple[list[Path], list[str]]:
    """Keep the first scan of every name: outputs are named after it, so a second one would overwrite them.

    Returns:
        These scans, and a line for every later one, which is left out.
    """
    first: dict[str, Path] = {}
    lines: list[str] = []
    for path in found:
        name = scan_name(path)
        if name not in first:
            first[name] = path
            continue
        if first[name].resolve() == path.resolve():
            lines.append(f"{path}: given twice; its first results stand")
        else:
            other = f"another scan has the name {name} ({first[name]})"
            lines.append(f"{path}: {other}; rename one of them, or write its results into another folder")
        tell_left_out(lines[-1])
    return list(first.values()), lines


def failure_line(path: Path, error: UserError) -> str:
    """One line with the name of a scan and its fault."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def tell_left_out(line: str) -> None:
    """Say why a scan has no results while the others go on."""
    console.print(f"[red]left out[/] {escape(line)}", highlight=False, soft_wrap=True)


def find_scans(path: Path) -> list[Path]:
    """The scans a path stands for: a file, a folder of DICOM files, or all of both kinds inside a folder.

    Of a cohort these are its images/; its masks are no scans.

    Raises:
        UserError: Nothing there.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a scan")
    if path.is_file():
        return [path]
    if _holds_dicom(path):
        return [path]
    if (path / "images").is_dir() and ((path / "scores.csv").is_file() or (path / "regions").is_dir()):
        return find_scans(path / "images")
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
