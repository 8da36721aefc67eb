"""Paths -> the scans that they stand for, each with its name and the place of its results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rich.markup import escape

from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.progress import console, track
from weakmask.volume.dicom import holds_series
from weakmask.volume.files import IMAGE_SUFFIXES, scan_name

Result = TypeVar("Result")


@dataclass(frozen=True)
class ScanJob:
    """One scan that a command works on.

    Attributes:
        name: Of the scan; its results are named after it.
        image: A file, or a folder of DICOM files.
        outputs: The files that may be written for it, by what they hold.
    """

    name: str
    image: Path
    outputs: Mapping[str, Path]


@dataclass(frozen=True)
class Done(Generic[Result]):
    """Result of a command for its scans.

    Attributes:
        results: Of the scans that succeeded, in order.
        failures: One line for each scan that was left out.
    """

    results: tuple[tuple[ScanJob, Result], ...]
    failures: tuple[str, ...]


def find_jobs(
    paths: Sequence[Path], outputs: Callable[[str, Path], Mapping[str, Path]]
) -> tuple[list[ScanJob], list[str]]:
    """The scans that several paths stand for, the first of each name, and a line for each that is left out.

    Results are named after the scan, so that those of a second scan with the same name would replace the first's.

    Args:
        paths: Files, DICOM folders, or folders of scans.
        outputs: Name and path of a scan -> the files that may be written for it.

    Raises:
        UserError: A path does not exist, or none of them holds a scan.
    """
    found = [scan for path in paths for scan in find_scans(path)]
    if not found:
        raise UserError(f"no scan in {', '.join(map(str, paths))}; expected images or folders of DICOM files")
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
        print_left_out(lines[-1])
    return [ScanJob(name, path, outputs(name, path)) for name, path in first.items()], lines


def find_scans(path: Path) -> list[Path]:
    """The scans a path stands for: a file, a folder of DICOM files, or all of both kinds inside a folder.

    Of a cohort these are its images/; its masks are not scans.

    Raises:
        UserError: The path does not exist.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a scan")
    if path.is_file() or holds_series(path):
        return [path]
    if (path / "images").is_dir() and any((path / name).exists() for name in ("scores.csv", "labels.csv", "regions")):
        return find_scans(path / "images")
    scans = [p for p in sorted(path.iterdir()) if p.is_file() and p.name.lower().endswith(tuple(IMAGE_SUFFIXES))]
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        scans += find_scans(folder)
    return scans


def each_scan(jobs: Sequence[ScanJob], what: str, work: Callable[[ScanJob], Result]) -> Done[Result]:
    """Do the same with every scan; a scan at fault is named in one line and the others go on.

    Args:
        jobs: The scans.
        what: The word beside the progress bar.
        work: The work on one scan.

    Raises:
        UserError: Every scan failed.
    """
    results: list[tuple[ScanJob, Result]] = []
    failures: list[str] = []
    for job in track(jobs, what, len(jobs)):
        try:
            with memory_for(job.image):
                results.append((job, work(job)))
        except UserError as error:
            failures.append(str(error) if str(job.image) in str(error) else f"{job.image}: {error}")
            if len(jobs) > 1:
                print_left_out(failures[-1])
    if not results:
        raise UserError(failures[0] if len(jobs) == 1 else f"all {len(jobs)} scans failed; the first: {failures[0]}")
    return Done(tuple(results), tuple(failures))


def outputs_of(jobs: Iterable[ScanJob]) -> list[Path]:
    """All files that may be written for some scans."""
    return [file for job in jobs for file in job.outputs.values()]


def print_left_out(line: str) -> None:
    """Print why a scan has no results."""
    console.print(f"[red]left out[/] {escape(line)}", highlight=False, soft_wrap=True)
