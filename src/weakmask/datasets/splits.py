"""Training, validation and test splits by patient, written to disk.

Patients are sorted by their total score (and the number of classes that are present) and drawn from neighbours, so that
mild and severe disease fall into every part in about the same shares. A split follows from the scans' names, patients
and labels and the seed alone.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from weakmask.atomic_write import atomic_file
from weakmask.datasets.case import Case
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.outgoing_text import cell_text, table_cell

COLUMNS = ("fold", "scan", "part")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """The names of the scans in each part, sorted; no patient is in two of them."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def hold_out(
    cases: Sequence[Case], seed: int, validation: float = 0.1, test: float = 0.2, patient_pattern: str | None = None
) -> Split:
    """One split into training, validation and test.

    Args:
        cases: The scans to split.
        seed: Of the draw.
        validation: Share of the patients for validation; at least one patient if not 0.
        test: Share of the patients for test; at least one patient if not 0.
        patient_pattern: Regular expression whose first group, searched in the scan's name, is the patient; None takes
            `Case.group` (the column `patient`, else the scan itself).

    Raises:
        UserError: Too few patients for the parts, or a name that the pattern does not find its patient in.
        ValueError: The shares leave nothing for training.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise ValueError(f"validation {validation} and test {test} leave nothing for training")
    patients = _patients(cases, patient_pattern)
    rng = np.random.default_rng(seed)
    ordered = _by_severity(patients, rng)
    tested = _spread(ordered, _share(test, len(ordered)), rng)
    rest = [patient for patient in ordered if patient not in tested]
    watched = _spread(rest, _share(validation, len(ordered)), rng)
    _refuse_too_few(len(ordered), len(tested) + len(watched) + 1)
    return _split(patients, watched, tested)


def hold_out_by_name(cases: Sequence[Case], test: float = 0.2) -> Split:
    """One split into training and test that needs no seed, and that changes little when patients are added.

    Of the patients with the same classes in their images, those whose names have the lowest SHA-256 are tested.

    Args:
        cases: The scans to split.
        test: Share of the patients for test, in each combination of classes.

    Raises:
        UserError: Too few patients, so that one of both parts is empty.
        ValueError: The share is not between 0 and 1.
    """
    if not 0 < test < 1:
        raise ValueError(f"test {test}; expected a share above 0 and below 1")
    patients = _patients(cases, None)
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, of_patient in patients.items():
        present = {
            label for case in of_patient for of in case.presence.values() for label, there in of.items() if there
        }
        alike.setdefault(tuple(sorted(present)), []).append(name)
    tested: set[str] = set()
    for names in alike.values():
        ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest())
        tested |= set(ordered[: round(test * len(names))])
    if not 0 < len(tested) < len(patients):
        raise UserError(f"{len(patients)} patients cannot be split into training and test by {test:g}; add pictures")
    return _split(patients, set(), tested)


def k_fold(
    cases: Sequence[Case], folds: int, seed: int, validation: float = 0.0, patient_pattern: str | None = None
) -> tuple[Split, ...]:
    """As many splits as folds; every patient is in the test part of exactly one.

    Args:
        cases: The scans to split.
        folds: At least 2.
        seed: Of the draw.
        validation: Share of the patients that each fold takes from its training part for validation.
        patient_pattern: As in `hold_out`.

    Raises:
        UserError: Fewer patients than folds (or none left to train), or as in `hold_out`.
        ValueError: Fewer than two folds or a share that leaves nothing for training.
    """
    if folds < 2 or not 0 <= validation < 1 - 1 / folds:
        raise ValueError(f"{folds} folds with {validation} for validation; expected two or more, and some to train")
    patients = _patients(cases, patient_pattern)
    rng = np.random.default_rng(seed)
    ordered = _by_severity(patients, rng)
    tested: list[set[str]] = [set() for _ in range(folds)]
    for start in range(0, len(ordered), folds):  # of every `folds` neighbours in severity one goes to each fold
        for patient, fold in zip(ordered[start : start + folds], rng.permutation(folds), strict=False):
            tested[fold].add(patient)
    _refuse_too_few(len(ordered), folds)
    splits = []
    for chosen in tested:
        rest = [patient for patient in ordered if patient not in chosen]
        watched = _spread(rest, _share(validation, len(ordered)), rng)
        _refuse_too_few(len(rest), len(watched) + 1)
        splits.append(_split(patients, watched, chosen))
    return tuple(splits)


def write_splits(splits: Sequence[Split], path: Path) -> None:
    """Write splits.csv: `fold,scan,part`, one row per fold and scan, folds from 0.

    Raises:
        MachineError: The folder cannot be written.
    """
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for fold, split in enumerate(splits):
            writer.writerows((fold, table_cell(scan), part) for part in PARTS for scan in getattr(split, part))


def read_splits(path: Path) -> tuple[Split, ...]:
    """Read a splits.csv.

    Raises:
        UserError: The file cannot be read, is not such a table, or puts a scan in two parts of one fold.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        refuse_machine_fault(error, path)
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"cannot read the splits {path}: {reason}") from error
    if tuple(header) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise UserError(f"{path}: expected the columns {','.join(COLUMNS)} in every line; split the cohort again")
    folds: dict[str, dict[str, str]] = {}
    for fold, scan, part in rows:
        if part not in PARTS or not fold.isdecimal():
            raise UserError(f"{path}: fold {fold!r}, part {part!r}; expected a number and one of {', '.join(PARTS)}")
        if folds.setdefault(fold, {}).setdefault(cell_text(scan), part) != part:
            raise UserError(f"{path}: {scan} is in two parts of fold {fold}; split the cohort again")
    splits = []
    for fold in sorted(folds, key=int):
        names = [tuple(sorted(scan for scan, part in folds[fold].items() if part == wanted)) for wanted in PARTS]
        splits.append(Split(*names))
    return tuple(splits)


def _patients(cases: Iterable[Case], pattern: str | None) -> dict[str, list[Case]]:
    """The scans of each patient, sorted, so that the order of the table changes nothing."""
    found: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.name):
        patient = case.group
        if pattern is not None:
            match = re.search(pattern, case.name)
            if match is None or not match.groups() or not match.group(1):
                raise UserError(f"the pattern {pattern!r} finds no patient in the scan name {case.name!r}; correct it")
            patient = match.group(1)
        found.setdefault(patient, []).append(case)
    return found


def _by_severity(patients: dict[str, list[Case]], rng: np.random.Generator) -> list[str]:
    """Patients by the mean burden of their images, equals in random order."""
    names = sorted(patients)
    totals = [np.mean([_burden(case) for case in patients[name]]) for name in names]
    chance = rng.random(len(names))
    return [names[place] for place in np.lexsort((chance, totals))]


def _burden(case: Case) -> int:
    """The total score, and the number of classes that are present in the image or in a region of it."""
    return sum(case.scores.values()) + sum(sum(classes.values()) for classes in case.presence.values())


def _share(share: float, patients: int) -> int:
    """Number of patients in a share, rounded; at least one if the share is above 0."""
    return max(1, round(share * patients)) if share > 0 else 0


def _spread(ordered: Sequence[str], count: int, rng: np.random.Generator) -> set[str]:
    """Draw `count` patients, one at random from each of `count` equal stretches of the order."""
    borders = np.linspace(0, len(ordered), min(count, len(ordered)) + 1).astype(int)
    return {ordered[int(rng.integers(low, high))] for low, high in pairwise(borders)}


def _refuse_too_few(patients: int, needed: int) -> None:
    if patients < needed:
        raise UserError(f"{patients} patients cannot be split into so many parts; at least {needed} are needed")


def _split(patients: dict[str, list[Case]], validation: set[str], test: set[str]) -> Split:
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for patient, cases in patients.items():
        part = "test" if patient in test else "validation" if patient in validation else "train"
        parts[part] += [case.name for case in cases]
    train, watched, tested = (tuple(sorted(parts[part])) for part in PARTS)
    return Split(train, watched, tested)
