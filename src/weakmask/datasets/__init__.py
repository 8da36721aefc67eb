"""Where scans and labels come from."""

from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.datasets.cohort import cases_with, check_cohort, read_cohort

__all__ = [
    "Case",
    "Cohort",
    "Fault",
    "cases_with",
    "check_cohort",
    "read_cohort",
]
