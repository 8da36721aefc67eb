"""The cohort folder: what a user brings.

    cohort/
      scores.csv     scan,region,score, or scan and one column per region; `patient` is welcome in both
      scores.yaml    the score map; without it, the CT severity score
      regions.yaml   whose lobe numbers the masks carry; without it, the house's lobes, lungs, or plain labels
      images/        NAME.nii.gz, .mha, .nrrd, .png, ... or a folder NAME/ of DICOM files
      regions/       region labels on the image's grid; optional
      lesions/       the truth; optional

What is missing costs as little as it can, what is wrong costs the scan. A region without a score or without voxels is
not used, a truth that cannot be read is done without; a row or a file that is wrong leaves its scan out until somebody
corrects it, for whoever mistypes one score may have meant another scan. The good scans always go on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weakmask.datasets.case import Case, Cohort, Fault, NoUsableScanError
from weakmask.datasets.cohort_checks import check_case, picture_faults
from weakmask.datasets.region_names import label_of, likely_numbering, read_numbering
from weakmask.datasets.score_table import ScoreRow, ScoreTable, nearest, read_score_table, row_fault
from weakmask.errors import UserError
from weakmask.progress import track
from weakmask.scoring.severity import CT_SEVERITY, ScoreMap, read_score_map
from weakmask.volume.files import IMAGE_SUFFIXES, scan_name

TABLE = "scores.csv"


def read_cohort(folder: Path) -> Cohort:
    """Read a cohort's tables and look which files are there; no voxel is read.

    Raises:
        UserError: No such folder, no images/, or a table or YAML file that cannot be understood.
        NoUsableScanError: A UserError that carries the faults: no scan is left.
    """
    cohort = _read_tables(folder)
    if not cohort.cases:
        raise NoUsableScanError(folder, cohort.faults)
    return cohort


def read_cohort_of_masks(folder: Path) -> Cohort:
    """As `read_cohort`, for who needs true masks and no scores: without scores.csv, the images with a lesion mask.

    Raises:
        UserError: As `read_cohort`, or no scores.csv and no lesions/ with the name of an image.
        NoUsableScanError: No scan is left.
    """
    if (folder / TABLE).exists() or not (folder / "images").is_dir():
        return read_cohort(folder)
    finder = _Files(folder, known=set())
    faults, cases = list[Fault](), list[Case]()
    for scan in finder.by_kind["images"]:
        if scan in finder.by_kind["lesions"]:
            case, found = finder.case(scan, {}, "")
            faults += found
            cases += [] if case is None else [case]
    if not cases and not faults:
        raise UserError(f"{folder}: neither {TABLE} nor a mask in lesions/ with the name of an image; give one of them")
    if not cases:
        raise NoUsableScanError(folder, faults)
    return Cohort(folder, CT_SEVERITY, {}, tuple(cases), tuple(faults))


def check_cohort(folder: Path, *, hounsfield: bool = True) -> Cohort:
    """As `read_cohort`, and then read every voxel.

    Args:
        folder: The cohort folder.
        hounsfield: Expect Hounsfield units; False lets other modalities pass. Pictures (PNG, JPEG) always do.

    Raises:
        UserError: As `read_cohort`.
        NoUsableScanError: No scan is left.
    """
    cohort = _read_tables(folder)
    faults = [*cohort.faults, *picture_faults(cohort.cases, folder)]
    cases = []
    for case in track(cohort.cases, "check", len(cohort.cases)):
        checked, found = check_case(case, cohort, hounsfield=hounsfield)
        faults += found
        cases += [] if checked is None else [checked]
    if not cases:
        raise NoUsableScanError(folder, faults)
    return Cohort(folder, cohort.score_map, cohort.region_names, tuple(cases), tuple(faults))


@dataclass
class _Scores:
    """The scores of one scan while its rows are read."""

    by_label: dict[int, int] = field(default_factory=dict)
    seen: dict[int, str] = field(default_factory=dict)  # label -> the text of its first row, usable or not


def _read_tables(folder: Path) -> Cohort:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a cohort with {TABLE} and images/")
    if not (folder / "images").is_dir():
        raise UserError(f"{folder}: no folder images/ in it; expected {TABLE} and images/")
    score_map = read_score_map(folder / "scores.yaml") if (folder / "scores.yaml").exists() else CT_SEVERITY
    table = read_score_table(folder / TABLE)
    numbering = _numbering(folder, table)
    scores, found = _read_scores(table, numbering, score_map)
    faults = [*table.faults, *found]
    names = {label: name for name, label in numbering.items()}
    labels = sorted({label for of_scan in scores.values() for label in of_scan.seen})
    names = names or {label: str(label) for label in labels}
    bad = {fault.scan for fault in faults if fault.fatal}
    finder = _Files(folder, known={*scores, *bad})
    cases = []
    for scan, of_scan in scores.items():
        if scan in bad:
            continue
        unscored = [names[label] for label in labels if label not in of_scan.seen]
        if not of_scan.by_label:
            text = f"{TABLE}: {scan} has no score at all; the scan is left out"
            faults.append(Fault(scan, TABLE, text, fatal=True))
            continue
        if unscored:
            text = f"{TABLE}: {scan} has no score for {', '.join(unscored)}; its other regions are used"
            faults.append(Fault(scan, TABLE, text, fatal=False))
        case, found = finder.case(scan, of_scan.by_label, table.patients.get(scan, ""))
        faults += found
        cases += [] if case is None else [case]
    faults += finder.unlabelled()
    return Cohort(folder, score_map, names, tuple(cases), tuple(faults))


def _numbering(folder: Path, table: ScoreTable) -> dict[str, int]:
    """The region names and labels of the cohort; refuses a wide table with a column that is no region."""
    regions = list(dict.fromkeys(row.region for row in table.rows))
    stated = (folder / "regions.yaml").exists()
    numbering = read_numbering(folder / "regions.yaml") if stated else likely_numbering(regions)
    unknown = [region for region in regions if label_of(region, numbering) is None]
    if table.wide and unknown:
        expected = ", ".join(numbering) or "LUL, LLL, RUL, RML, RLL, left, right, or labels from 1 up"
        hint = nearest(unknown[0], list(numbering), f"the regions are {expected}; name others in regions.yaml")
        raise UserError(f"{folder / TABLE}: unknown column {unknown[0]!r}; {hint}")
    return numbering


def _read_scores(
    table: ScoreTable, numbering: Mapping[str, int], score_map: ScoreMap
) -> tuple[dict[str, _Scores], list[Fault]]:
    """The scores of every scan by region label, and the rows that could not be used."""
    scans: dict[str, _Scores] = {}
    faults: list[Fault] = []
    for row in table.rows:
        scores = scans.setdefault(row.scan, _Scores())
        label = label_of(row.region, numbering)
        if label is None:
            known = f"the regions are {', '.join(numbering)}" if numbering else "expected a name or a label from 1 up"
            wrong = f"unknown region {row.region!r}; {nearest(row.region, list(numbering), known)}"
        else:
            wrong = _add(scores, row, label, score_map)
        if wrong:
            faults.append(row_fault(row.scan, TABLE, row.line, wrong, fatal=bool(row.score) or label is None))
    return scans, faults


def _add(scores: _Scores, row: ScoreRow, label: int, score_map: ScoreMap) -> str:
    """Take one row in; returns what is wrong with it."""
    if label in scores.seen:
        return f"region {row.region} is scored twice, {scores.seen[label]!r} above and {row.score!r} here"
    scores.seen[label] = row.score
    if not row.score:
        return f"the score of region {row.region} is empty"
    try:
        number = float(row.score)
    except ValueError:
        number = float("nan")
    if number not in score_map.intervals:  # nan, inf and 2.5 are not
        expected = ", ".join(map(str, score_map.scores))
        return f"score {row.score!r} of region {row.region} is not one of {expected}"
    scores.by_label[label] = int(number)
    return ""


class _Files:
    """The files of a cohort by scan name."""

    def __init__(self, folder: Path, known: set[str]) -> None:
        self.folder = folder
        self.known = known  # every scan that the table speaks of
        self.by_kind = {kind: _named(folder / kind) for kind in ("images", "regions", "lesions")}

    def case(self, scan: str, scores: Mapping[int, int], patient: str) -> tuple[Case | None, list[Fault]]:
        """A case, or None and what is missing."""
        faults = []
        found: dict[str, Path | None] = {}
        for kind, by_name in self.by_kind.items():
            paths = by_name.get(scan, [])
            found[kind] = paths[0] if paths else None
            if len(paths) > 1:
                names = " and ".join(path.name for path in paths)
                text = f"{kind}/{paths[0].name}: {scan} has two files here, {names}; keep one"
                faults.append(Fault(scan, f"{kind}/{paths[0].name}", text, fatal=kind != "lesions"))
                found[kind] = None
            elif not paths and (kind == "images" or (kind == "regions" and (self.folder / kind).is_dir())):
                hint = nearest(scan, list(by_name), f"add {kind}/{scan}.nii.gz or take {scan} out of {TABLE}")
                text = f"{kind}/{scan}: no such file; {hint}"
                faults.append(Fault(scan, f"{kind}/{scan}", text, fatal=True))
        image = found["images"]
        if image is None or any(fault.fatal for fault in faults):
            return None, faults
        return Case(scan, image, found["regions"], found["lesions"], dict(scores), patient), faults

    def unlabelled(self) -> Iterator[Fault]:
        """Images that no row speaks of; nothing is wrong with them, they are just not used."""
        for scan, paths in self.by_kind["images"].items():
            if scan not in self.known:
                file = f"images/{paths[0].name}"
                yield Fault(scan, file, f"{file}: no row in {TABLE} names {scan}; the image is not used", fatal=False)


def _named(folder: Path) -> dict[str, list[Path]]:
    """Every scan in a folder by its name; other files and hidden ones are nobody's business."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        named = path.is_dir() or path.name.lower().endswith(IMAGE_SUFFIXES)
        if named and not path.name.startswith("."):
            found.setdefault(path.name if path.is_dir() else scan_name(path), []).append(path)
    return found
