"""Paths -> the scans that they stand for, each with its name and the place of its results."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from weakmask.commands.job_names import Naming, names_of
from weakmask.datasets.cohort_labels import read_labels
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.progress import track
from weakmask.terminal import say
from weakmask.volume.files import scan_name
from weakmask.volume.scan_files import ScanFile, entries_by_name, has_series, scans_below, scans_in_file
from weakmask.volume.stack_files import is_stack

Result = TypeVar("Result")
_OF_COHORTS = ("scores.csv", "scores.xlsx", "labels.csv", "labels.xlsx", "regions")


@dataclass(frozen=True)
class ScanJob:
    """One scan that a command works on.

    Attributes:
        name: Of the scan; its results are named after it.
        image: A file, or a folder of DICOM files.
        outputs: The files that may be written for it, by what they hold.
        series: UID of the series to read in a folder of several; None: the only one.
        masks: Names that its region mask may have.
    """

    name: str
    image: Path
    outputs: Mapping[str, Path]
    series: str | None = None
    masks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done(Generic[Result]):
    """Result of a command for its scans.

    Attributes:
        results: Of the scans that succeeded, in order.
        failures: One line for each scan that was left out.
    """

    results: tuple[tuple[ScanJob, Result], ...]
    failures: tuple[str, ...]


class Outcomes(Generic[Result]):
    """The results and failures of scans, as they come in."""

    def __init__(self, count: int, failed: Callable[[ScanJob, str], None] | None = None) -> None:
        """Begin without any.

        Args:
            count: Number of scans; of several, one that fails is printed at once.
            failed: Is called with a scan that failed, and why.
        """
        self._count, self._failed = count, failed
        self._results: dict[str, Result] = {}
        self._failures: dict[str, str] = {}

    def add(self, job: ScanJob, result: Result) -> None:
        """Keep the result of a scan."""
        self._results[job.name] = result

    def leave_out(self, job: ScanJob, why: str) -> None:
        """Keep why a scan has no result, and say so."""
        line = self._failures[job.name] = why if str(job.image) in why else f"{job.image}: {why}"
        if self._failed is not None:
            self._failed(job, line)
        if self._count > 1:
            print_left_out(line)

    def done(self, jobs: Sequence[ScanJob]) -> Done[Result]:
        """All of them, in the order of the scans.

        Raises:
            UserError: Every scan failed.
        """
        lines = [self._failures[job.name] for job in jobs if job.name in self._failures]
        if not self._results:
            raise UserError(lines[0] if len(jobs) == 1 else f"all {len(jobs)} scans failed; the first: {lines[0]}")
        results = tuple((job, self._results[job.name]) for job in jobs if job.name in self._results)
        return Done(results, tuple(lines))


def find_jobs(
    paths: Sequence[Path | ScanFile], outputs: Callable[[str, Path], Mapping[str, Path]], naming: Naming = "path"
) -> tuple[list[ScanJob], list[str]]:
    """The scans that several paths stand for, each with a name of its own, and a line for each that is given twice.

    Args:
        paths: Files, DICOM folders, or folders of scans; or scans.
        outputs: Name and path of a scan -> the files that may be written for it.
        naming: Source of the names, see `names_of`.

    Raises:
        UserError: A path does not exist, or none of them holds a scan.
    """
    found = [scan for path in paths for scan in ([path] if isinstance(path, ScanFile) else find_scans(path))]
    if not found:
        raise UserError(f"no scan in {', '.join(map(str, paths))}; expected images or folders of DICOM files")
    once: dict[tuple[Path, str | None], ScanFile] = {}
    lines: list[str] = []
    for scan in found:
        if once.setdefault((scan.path.resolve(), scan.series), scan) is not scan:
            lines.append(f"{scan.path}: given twice; its first results stand")
            print_left_out(lines[-1])
    scans = list(once.values())
    names = names_of(scans, naming)
    of_path = Counter(scan_name(scan.path) for scan in scans)
    jobs = []
    for name, scan in zip(names, scans, strict=True):
        short = scan_name(scan.path)
        masks = (name, short) if of_path[short] == 1 else (name,)
        jobs.append(ScanJob(name, scan.path, outputs(name, scan.path), scan.series, tuple(dict.fromkeys(masks))))
    return jobs, lines


def stacks_in(paths: Sequence[Path | ScanFile]) -> list[Path | ScanFile]:
    """The paths with each folder of sections as one stack, whose pictures would else be a scan each.

    Args:
        paths: Files and folders; a folder may hold several stacks.
    """
    found: list[Path | ScanFile] = []
    for path in paths:
        inside = sorted(path.iterdir()) if isinstance(path, Path) and path.is_dir() else []
        if isinstance(path, Path) and path.exists() and is_stack(path):
            found.append(ScanFile(path))
        elif any(is_stack(one) for one in inside):
            found += [ScanFile(one) for one in inside if is_stack(one)]
        else:
            found.append(path)
    return found


def chosen_scans(paths: Sequence[Path], series: Collection[str]) -> Sequence[Path | ScanFile]:
    """The scans of several paths, with DICOM series chosen; the paths themselves if none is chosen.

    Args:
        paths: Files and folders.
        series: UIDs, numbers or descriptions of DICOM series; a folder of one series is taken whatever it is called.

    Raises:
        UserError: A path does not exist, or no folder has a series of that kind.
    """
    if not series:
        return paths
    for words in series:
        chosen = [scan for path in paths for scan in find_scans(path, (words,))]
        if not any(scan.series for scan in chosen):
            raise UserError(
                f"no series {words} in {', '.join(map(str, paths))}; give the UID, number or description of one in it"
            )
    return [scan for path in paths for scan in find_scans(path, series)]


def find_scans(path: Path, series: Collection[str] = ()) -> list[ScanFile]:
    """The scans a path stands for: a file, a folder of DICOM files, or all of both kinds inside a folder.

    Of a cohort these are its images/; its masks are not scans. Its tables may name the series of a DICOM folder.

    Args:
        path: A file or folder.
        series: UIDs, numbers or descriptions of DICOM series, to choose where a folder holds several.

    Raises:
        UserError: The path does not exist, or is neither a file nor a folder.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a scan")
    if path.is_file():
        return scans_in_file(path, series)
    if not path.is_dir():
        raise UserError(f"{path}: a pipe or a device; expected a file or a folder")
    if (path / "images").is_dir() and any((path / name).exists() for name in _OF_COHORTS):
        scans = scans_below(path / "images", series)
        return scans if series else _with_named_series(scans, path)
    return scans_below(path, series)


def _with_named_series(scans: Sequence[ScanFile], cohort: Path) -> list[ScanFile]:
    """The scans of a cohort, with the series that its tables name; a table that cannot be read names none."""
    entries = entries_by_name(cohort / "images")
    try:
        labels = read_labels(cohort, entries).images
    except UserError:
        return list(scans)
    named = {entries[name][0]: of.series for name, of in labels.items() if of.series and name in entries}
    chosen = [ScanFile(path, series) for path, series in named.items() if has_series(path)]
    others = [scan for scan in scans if not any(scan.path.is_relative_to(one.path) for one in chosen)]
    return sorted([*others, *chosen], key=lambda scan: scan.path)


def each_scan(
    jobs: Sequence[ScanJob],
    what: str,
    work: Callable[[ScanJob], Result],
    failed: Callable[[ScanJob, str], None] | None = None,
) -> Done[Result]:
    """Do the same with every scan; a scan at fault is named in one line and the others go on.

    Args:
        jobs: The scans.
        what: The word beside the progress bar.
        work: The work on one scan.
        failed: Is called with a scan that failed, and why.

    Raises:
        UserError: Every scan failed.
    """
    outcomes: Outcomes[Result] = Outcomes(len(jobs), failed)
    for job in track(jobs, what, len(jobs)):
        try:
            with memory_for(job.image):
                outcomes.add(job, work(job))
        except UserError as error:
            outcomes.leave_out(job, str(error))
    return outcomes.done(jobs)


def outputs_of(jobs: Iterable[ScanJob]) -> list[Path]:
    """All files that may be written for some scans."""
    return [file for job in jobs for file in job.outputs.values()]


def print_left_out(line: str) -> None:
    """Print why a scan has no results."""
    say("left out", line)
