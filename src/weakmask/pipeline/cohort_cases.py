"""The cases of a cohort as the stages of any method read them: tables are hashed, every fault becomes a note."""

from pathlib import Path

from weakmask.csv_table import read_csv
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.yes_or_no import yes_or_no
from weakmask.pipeline.stages import Work

TABLES = ("scores.csv", "scores.xlsx", "scores.yaml", "labels.csv", "labels.xlsx", "regions.yaml", "truth.yaml")


def noted_cohort(folder: Path, work: Work) -> Cohort:
    """A cohort of which only tables and file names have been read; every fault is noted.

    A method that learns from yes or no has a setting `data.finding`: it sees no score.
    """
    cohort = read_cohort(folder)
    finding = getattr(work.config.data, "finding", None)
    if finding is not None:
        cohort = yes_or_no(cohort, finding)
    for name in TABLES:
        work.hash_input(folder / name)
    work.note_all({fault.message: fault.kind for fault in cohort.faults})
    return cohort


def evaluated_cases(work: Work) -> tuple[Cohort, list[Case]]:
    """The scans to evaluate on, and their cohort: those of `data.test`, or the validation scans without one."""
    config = work.config
    if config.data.test is not None:
        cohort = noted_cohort(config.data.test, work)
        return cohort, list(cohort.cases)
    return held_out_cases(work)


def held_out_cases(work: Work) -> tuple[Cohort, list[Case]]:
    """The validation scans of a stage that reads `prepare`, and their cohort."""
    cohort = noted_cohort(work.config.data.cohort, work)
    index = read_csv(work.stage("prepare") / "index.csv")
    held_out = set(index.loc[index["split"] == "validation", "scan"])
    return cohort, [case for case in cohort.cases if case.name in held_out]
