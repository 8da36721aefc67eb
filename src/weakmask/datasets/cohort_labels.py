"""The label tables of a cohort, put together image by image: scores.csv, labels.csv, both or neither."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weakmask.datasets.case import Fault
from weakmask.datasets.cell_values import is_missing, number_in
from weakmask.datasets.label_table import LabelTable, read_label_table
from weakmask.datasets.region_names import WHOLE_IMAGE, label_of, likely_numbering, read_numbering
from weakmask.datasets.scan_names import ScanNames
from weakmask.datasets.score_table import ScoreRow, ScoreTable, read_score_table
from weakmask.datasets.table_cells import find_table, nearest, refuse_unknown, row_fault
from weakmask.outgoing_text import cut, some_of
from weakmask.scoring.severity import CT_SEVERITY, ScoreMap, read_score_map


@dataclass
class ImageLabels:
    """Labels of one image in the tables.

    Attributes:
        scores: Region label -> score, the usable ones.
        presence: Region label, or None for the whole image -> class -> present or not.
        patient: Its patient, "" where no table names one.
        series: Its DICOM series, likewise.
        rows: Region label -> the text of its score, usable or not, and the line that it stands in.
    """

    scores: dict[int, int] = field(default_factory=dict)
    presence: dict[int | None, dict[str, bool]] = field(default_factory=dict)
    patient: str = ""
    series: str = ""
    rows: dict[int, tuple[str, int]] = field(default_factory=dict)

    @property
    def needs_regions(self) -> bool:
        """Whether a label speaks of a part of the image."""
        return bool(self.scores) or any(region is not None for region in self.presence)


@dataclass
class CohortLabels:
    """The labels of a cohort.

    Attributes:
        score_map: Meaning of its scores.
        region_names: Region label -> name.
        classes: The classes of labels.csv.
        images: Name -> labels, in the order of the tables.
        table: The names of the tables, "" if there are none.
        faults: In the order of the files.
    """

    score_map: ScoreMap
    region_names: Mapping[int, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    images: dict[str, ImageLabels] = field(default_factory=dict)
    table: str = ""
    faults: list[Fault] = field(default_factory=list)

    @property
    def bad(self) -> set[str]:
        """The images that a table says something wrong about."""
        return {fault.scan for fault in self.faults if fault.fatal}


def read_labels(folder: Path, names: Collection[str] = ()) -> CohortLabels:
    """Read the label tables of a cohort, with scores.yaml and regions.yaml.

    Args:
        folder: The cohort.
        names: The names of its images, by which file names in the tables are understood.

    Raises:
        UserError: A table or a YAML file that cannot be understood, or a table as CSV and as a sheet.
    """
    score_map = read_score_map(folder / "scores.yaml") if (folder / "scores.yaml").exists() else CT_SEVERITY
    paths = [find_table(folder, stem) for stem in ("scores", "labels")]
    scans = [ScanNames(names), ScanNames(names)]
    scores = None if paths[0] is None else read_score_table(paths[0], scans[0].scan_of)
    presence = None if paths[1] is None else read_label_table(paths[1], scans[1].scan_of)
    numbering = _numbering(folder, scores, presence)
    found = CohortLabels(score_map, {label: name for name, label in numbering.items()})
    found.table = " or ".join(path.name for path in paths if path is not None)
    found.faults += [fault for path, of in zip(paths, scans, strict=True) if path for fault in of.faults(path.name)]
    if scores is not None and paths[0] is not None:
        _add_scores(found, scores, numbering, paths[0].name)
    if presence is not None and paths[1] is not None:
        _add_presence(found, presence, numbering, paths[1].name)
    return found


def _numbering(folder: Path, scores: ScoreTable | None, presence: LabelTable | None) -> dict[str, int]:
    """The region names and labels of the cohort."""
    if (folder / "regions.yaml").exists():
        return read_numbering(folder / "regions.yaml")
    regions = [] if scores is None else [row.region for row in scores.rows]
    regions += [] if presence is None else [region for of in presence.presence.values() for region in of if region]
    return likely_numbering(dict.fromkeys(regions))


def _add_scores(found: CohortLabels, table: ScoreTable, numbering: Mapping[str, int], file: str) -> None:
    """The scores of every image by region label, and the faults of the rows that cannot be used."""
    found.faults += table.faults
    ignored = _ignored_columns(found, table, numbering, file)
    for row in table.rows:
        if row.region not in ignored:
            own = ImageLabels(patient=table.patients.get(row.scan, ""), series=table.series.get(row.scan, ""))
            image = found.images.setdefault(row.scan, own)
            wrong, fatal = _add_score(image, row, numbering, found.score_map)
            found.faults += [row_fault(row.scan, file, row.line, wrong, fatal=fatal)] if wrong else []
    labels = sorted({label for image in found.images.values() for label in image.rows})
    found.region_names = found.region_names or {label: str(label) for label in labels}
    for name, image in found.images.items():
        unscored = [found.region_names[label] for label in labels if label not in image.rows]
        if unscored and image.scores and name not in found.bad:
            text = f"{file}: {name} has no score for {', '.join(unscored)}; its other regions are used"
            found.faults.append(Fault(name, file, text, fatal=False))


def _ignored_columns(found: CohortLabels, table: ScoreTable, numbering: Mapping[str, int], file: str) -> set[str]:
    """The columns of free text in a wide table; a column of numbers that is no region is refused."""
    regions = dict.fromkeys(row.region for row in table.rows)
    unknown = [name for name in regions if label_of(name, numbering) is None] if table.wide else []
    expected = ", ".join(numbering) or "LUL, LLL, RUL, RML, RLL, left, right, or labels from 1 up"
    known, instead = f"the regions are {expected}", ", or name the region in regions.yaml"
    notes = refuse_unknown(table.cells, unknown, list(numbering), known, instead)
    found.faults += [Fault("", file, note, fatal=False) for note in notes]
    return set(unknown)


def _add_score(
    image: ImageLabels, row: ScoreRow, numbering: Mapping[str, int], score_map: ScoreMap
) -> tuple[str, bool]:
    """Take one row in; returns what is wrong with it, and whether that costs the image."""
    label = label_of(row.region, numbering)
    if label is None:
        known = f"the regions are {', '.join(numbering)}" if numbering else "expected a name or a label from 1 up"
        return f"unknown region {row.region!r}; {nearest(row.region, list(numbering), known)}", True
    said, line = image.rows.get(label, ("", row.line))
    if is_missing(row.score) and label in image.rows:
        return "", False
    if not is_missing(said):
        same = said == row.score or number_in(said) == number_in(row.score) is not None
        text = f"region {row.region} is scored twice, {said!r} in line {line} and {row.score!r} in line {row.line}"
        return ("", False) if same else (text, True)
    image.rows[label] = (row.score, row.line)
    if is_missing(row.score):
        came = f"{row.score!r}, missing" if row.score else "empty"
        return f"the score of region {row.region} is {came}", False
    number = number_in(row.score)
    if number not in score_map.intervals:  # 2.5 is not
        expected = some_of([str(score) for score in score_map.scores])
        return f"score {cut(repr(row.score))} of region {row.region} is not one of {expected}", True
    image.scores[label] = int(number or 0)
    return "", False


def _add_presence(found: CohortLabels, table: LabelTable, numbering: Mapping[str, int], file: str) -> None:
    """The classes of every image by region label, and the faults of unknown regions."""
    found.faults += table.faults
    found.classes = table.classes
    for name, regions in table.presence.items():
        image = found.images.setdefault(name, ImageLabels())
        for word, said, other in (
            ("patient", table.patients.get(name, ""), image.patient),
            ("series", table.series.get(name, ""), image.series),
        ):
            if said and other not in {"", said}:
                text = f"{file}: {name} has the {word} {said!r}, in scores.csv {other!r}; correct one of them"
                found.faults.append(Fault(name, file, text, fatal=True))
        wrong = [region for region in regions if _region(region, numbering) == 0]
        for region in wrong:
            hint = nearest(region, list(numbering), _known(numbering))
            text = f"{file}: {name} has the unknown region {region!r}; {hint}; the image is left out"
            found.faults.append(Fault(name, file, text, fatal=True))
        image.patient = image.patient or table.patients.get(name, "")
        image.series = image.series or table.series.get(name, "")
        for region in [region for region in regions if region not in wrong]:
            known = image.presence.setdefault(_region(region, numbering) or None, {})
            text = _merge(known, regions[region], region, long=table.long)
            found.faults += [Fault(name, file, f"{file}: {name}: {text}; correct it", fatal=True)] if text else []
    labels = {label for image in found.images.values() for label in image.presence if label is not None}
    found.region_names = found.region_names or {label: str(label) for label in sorted(labels)}


def _merge(known: dict[str, bool], values: Mapping[str, bool], region: str, *, long: bool) -> str:
    """Add the classes of a region to those of its other spelling; returns a text if the two contradict each other."""
    for name, value in values.items():
        if known.setdefault(name, value) != value:
            if not long:
                return f"class {name} of region {region} is 0 and 1"
            known[name] = True
    return ""


def _region(region: str, numbering: Mapping[str, int]) -> int | None:
    """The label of a region in labels.csv; None is the whole image, 0 an unknown region."""
    if not region or region.lower() in WHOLE_IMAGE:
        return None
    return label_of(region, numbering) or 0


def _known(numbering: Iterable[str]) -> str:
    return f"the regions are {', '.join(numbering)}"
