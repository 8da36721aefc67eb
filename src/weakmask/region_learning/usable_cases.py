"""The cases of a cohort as stages read them: faulty ones are noted and left out, missing regions are made."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from weakmask.anatomy.picture_to_hounsfield import picture_to_hounsfield
from weakmask.anatomy.scan_checks import named_regions
from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.datasets.cohort_checks import check_case
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.pipeline import Work
from weakmask.prediction import Scan
from weakmask.region_learning.prediction import regions_of
from weakmask.region_learning.settings import PrepareSettings
from weakmask.regions.make_regions import make_regions, relabelled
from weakmask.regions.scan_regions import read_regions
from weakmask.volume.files import refuse_nonfinite, write_volume
from weakmask.volume.regions import region_boxes
from weakmask.volume.storage_order import in_order_of, upright
from weakmask.volume.volume import Volume

FOUND = "found-regions"
MOST_KNOWN = 100_000  # cases whose check is remembered
DETACHED = (".mhd", ".nhdr")  # headers whose voxels lie in another file


def usable_case(case: Case, cohort: Cohort, work: Work) -> Case | None:
    """The case as far as it is usable, or None; its voxels are read, and every fault is noted."""
    try:
        with memory_for(case.image, in_stage=True):
            usable, faults = _checked(case, cohort, hounsfield=work.config.prepare.needs_hounsfield)
    except UserError as error:
        work.note(f"left out {case.name}: {error}")
        return None
    for fault in faults:
        work.note(f"left out {case.name}: {fault.message}" if usable is None else fault.message)
    return usable


_known: dict[tuple[object, ...], tuple[Case | None, tuple[Fault, ...]]] = {}  # results of `check_case`


def _checked(case: Case, cohort: Cohort, *, hounsfield: bool) -> tuple[Case | None, tuple[Fault, ...]]:
    """`check_case`, which reads all voxels, once in a process for files that have not changed since.

    Stages of a run, and runs of a table, ask for the same scans again and again.
    """
    files = [_state_of(path) for path in (case.image, case.regions, case.truth)]
    key = (repr(case), cohort.folder, repr(dict(cohort.region_names)), hounsfield, *files)
    found = _known.get(key)
    if found is None:
        usable, faults = check_case(case, cohort, hounsfield=hounsfield)
        found = usable, tuple(faults)
        if len(_known) < MOST_KNOWN:
            _known[key] = found
    return found


def _state_of(path: Path | None) -> object:
    """Sizes and times of a file, or of all files of a folder; equal only where nothing has changed."""
    if path is None:
        return None
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    if not files or not files[0].is_file() or any(file.suffix.lower() in DETACHED for file in files):
        return object()  # voxels in another file, or no file: never equal
    states = [file.stat() for file in files]
    return tuple((str(file), s.st_ino, s.st_size, s.st_mtime_ns) for file, s in zip(files, states, strict=True))


def read_scan(case: Case, cohort: Cohort, work: Work) -> Scan:
    """A case as `segment_in_any_order` takes it, with its own grey values, in the order of its file.

    Labels without a name are no regions. Without a region mask, lobes are found by the lobe network or lungs by
    threshold, and a note says so.

    Raises:
        UserError: A file is faulty, or the grids do not fit.
    """
    image = case.read_image()
    refuse_nonfinite(image, case.image)
    work.hash_input(case.image)
    if case.regions is not None:
        work.hash_input(case.regions)
        names = cohort.region_names
        regions, _ = named_regions(read_regions(case.regions, image, names), names)  # noted by `usable_case`
        return Scan(case.name, image, regions, names)
    return Scan(case.name, image, _found_regions(case, image, cohort, work), cohort.region_names)


def read_case(case: Case, cohort: Cohort, work: Work) -> tuple[Volume, Volume]:
    """A case's image in Hounsfield units and its regions, both upright, to learn from and to evaluate; see `read_scan`.

    Raises:
        UserError: A file is faulty, the grids do not fit, or a picture has no lung or soft tissue.
    """
    scan = read_scan(case, cohort, work)
    image = upright(scan.image)
    regions = in_order_of(regions_of(scan), image.geometry)
    return in_hounsfield(image, regions, work.config.prepare), regions


def _found_regions(case: Case, image: Volume, cohort: Cohort, work: Work) -> Volume:
    """The regions of a scan without a mask: found once, by the first stage that needs them, and read by later ones.

    They depend on the scan and on the package's own lobe network alone, so that any stage may have left them.
    """
    origin = f"{case.image.absolute()}{case.series or ''}"
    file = Path(FOUND) / f"{case.name}-{hashlib.sha256(origin.encode()).hexdigest()[:8]}.nii.gz"
    for folder in (work.out, *sorted(work.run.glob("[0-9][0-9]-*"))):
        if (folder / file).exists():
            return read_regions(folder / file, image)
    made = make_regions(image, cohort.region_names.values(), device=work.config.device)
    work.note(f"{case.name}: no region mask; {made.note}")
    regions = relabelled(made, cohort.region_names)
    if work.out != work.run:  # a report writes no stage
        write_volume(regions, work.out / file)
    return regions


def in_hounsfield(image: Volume, regions: Volume, settings: PrepareSettings) -> Volume:
    """The image in (about) Hounsfield units, whatever its grey values are.

    Raises:
        UserError: A picture without lung or soft tissue.
    """
    return picture_to_hounsfield(image, regions) if settings.grey_values == "picture" else image


def unscored_regions(regions: Volume, scores: Mapping[int, int]) -> list[int]:
    """The labels of a region mask that have no score, whose regions may or may not have lesions."""
    return [label for label in region_boxes(regions) if label not in scores]
